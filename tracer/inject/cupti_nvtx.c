// SPDX-License-Identifier: Apache-2.0
/* NVTX ranges: RANGE records. A program's NVTX loads the library named in NVTX_INJECTION64_PATH at its first call,
 * hands over the table of its functions, and calls what is put there. Before CUDA starts, and after the capture has
 * ended, ranges are not written; but they may open and close the window of recording at any time. See cupti_capture.h;
 * interface: nvtx3/nvtxDetail/nvtxTypes.h of the toolkit. */
#include "tracer/inject/cupti_capture.h"

#include <nvtx3/nvToolsExt.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { TEXT_MAX = 256 };

struct registered { /* what stands behind nvtxDomainHandle_t and nvtxStringHandle_t here; never freed */
  char text[TEXT_MAX];
};

static atomic_uint_fast64_t last_id;

static void write_range(enum emuv_trace_range_kind kind, const char *text, uint64_t id, const struct registered *domain)
{
  if (!emuv_recording_now() || !emuv_capture_enter()) return;
  struct emuv_trace_writer *const w = emuv_capture.writer;
  const struct emuv_trace_range record = {.ns = emuv_capture_now_ns(),
                                          .kind = kind,
                                          .text = emuv_trace_writer_string(w, text),
                                          .tid = emuv_capture_tid(),
                                          .id = id,
                                          .domain = emuv_trace_writer_string(w, domain ? domain->text : NULL)};
  emuv_trace_writer_range(w, &record);
  emuv_capture_leave();
}

/* Ranges open the window before they are written, and close it afterwards. */
static void push_in(const char *text, const struct registered *domain)
{
  emuv_recording_push(domain, text);
  write_range(EMUV_TRACE_RANGE_PUSH, text, 0, domain);
}

static void pop_in(const struct registered *domain)
{
  write_range(EMUV_TRACE_RANGE_POP, NULL, 0, domain);
  emuv_recording_pop(domain);
}

/* Odd ids are of ranges that the capture waits for. */
static nvtxRangeId_t start_in(const char *text, const struct registered *domain)
{
  const bool counts = emuv_recording_range_start(text);
  const uint64_t id = 2 * (atomic_fetch_add(&last_id, 1) + 1) + counts;
  write_range(EMUV_TRACE_RANGE_START, text, id, domain);
  return id;
}

static void end_in(nvtxRangeId_t id, const struct registered *domain)
{
  write_range(EMUV_TRACE_RANGE_END, NULL, id, domain);
  if (id & 1) emuv_recording_range_end();
}

static const char *narrow(const wchar_t *wide, char buffer[TEXT_MAX])
{
  size_t n = 0;
  for (; wide && wide[n] && n + 1 < TEXT_MAX; n++) buffer[n] = wide[n] < 128 ? (char)wide[n] : '?';
  buffer[n] = '\0';
  return buffer;
}

static const char *message(const nvtxEventAttributes_t *a, char buffer[TEXT_MAX])
{
  if (!a) return "";
  if (a->messageType == NVTX_MESSAGE_TYPE_ASCII) return a->message.ascii;
  if (a->messageType == NVTX_MESSAGE_TYPE_UNICODE) return narrow(a->message.unicode, buffer);
  if (a->messageType == NVTX_MESSAGE_TYPE_REGISTERED && a->message.registered)
    return ((const struct registered *)(const void *)a->message.registered)->text;
  return "";
}

static void mark_a(const char *text)
{
  write_range(EMUV_TRACE_RANGE_MARK, text, 0, NULL);
}

static void mark_ex(const nvtxEventAttributes_t *a)
{
  char buffer[TEXT_MAX];
  write_range(EMUV_TRACE_RANGE_MARK, message(a, buffer), 0, NULL);
}

/* The return value is the nesting depth, which no caller needs from a tool. */
static int push_a(const char *text)
{
  push_in(text, NULL);
  return 0;
}

static int push_w(const wchar_t *text)
{
  char buffer[TEXT_MAX];
  return push_a(narrow(text, buffer));
}

static int push_ex(const nvtxEventAttributes_t *a)
{
  char buffer[TEXT_MAX];
  return push_a(message(a, buffer));
}

static int pop(void)
{
  pop_in(NULL);
  return 0;
}

static nvtxRangeId_t start_a(const char *text)
{
  return start_in(text, NULL);
}

static nvtxRangeId_t start_ex(const nvtxEventAttributes_t *a)
{
  char buffer[TEXT_MAX];
  return start_in(message(a, buffer), NULL);
}

static void end(nvtxRangeId_t id)
{
  end_in(id, NULL);
}

static const struct registered *of_domain(nvtxDomainHandle_t domain)
{
  return (const void *)domain;
}

static void domain_mark(nvtxDomainHandle_t domain, const nvtxEventAttributes_t *a)
{
  char buffer[TEXT_MAX];
  write_range(EMUV_TRACE_RANGE_MARK, message(a, buffer), 0, of_domain(domain));
}

static nvtxRangeId_t domain_start(nvtxDomainHandle_t domain, const nvtxEventAttributes_t *a)
{
  char buffer[TEXT_MAX];
  return start_in(message(a, buffer), of_domain(domain));
}

static void domain_end(nvtxDomainHandle_t domain, nvtxRangeId_t id)
{
  end_in(id, of_domain(domain));
}

static int domain_push(nvtxDomainHandle_t domain, const nvtxEventAttributes_t *a)
{
  char buffer[TEXT_MAX];
  push_in(message(a, buffer), of_domain(domain));
  return 0;
}

static int domain_pop(nvtxDomainHandle_t domain)
{
  pop_in(of_domain(domain));
  return 0;
}

static void *register_text(const char *text)
{
  struct registered *r = calloc(1, sizeof *r);
  if (r && text) strncpy(r->text, text, TEXT_MAX - 1);
  return r;
}

static nvtxStringHandle_t register_string(nvtxDomainHandle_t domain, const char *text)
{
  (void)domain;
  return register_text(text);
}

static nvtxDomainHandle_t create_domain(const char *name)
{
  return register_text(name);
}

struct hook {
  unsigned int id;
  NvtxFunctionPointer function;
};

static const struct hook core[] = {
    {NVTX_CBID_CORE_MarkEx, (NvtxFunctionPointer)mark_ex},
    {NVTX_CBID_CORE_MarkA, (NvtxFunctionPointer)mark_a},
    {NVTX_CBID_CORE_RangeStartEx, (NvtxFunctionPointer)start_ex},
    {NVTX_CBID_CORE_RangeStartA, (NvtxFunctionPointer)start_a},
    {NVTX_CBID_CORE_RangeEnd, (NvtxFunctionPointer)end},
    {NVTX_CBID_CORE_RangePushEx, (NvtxFunctionPointer)push_ex},
    {NVTX_CBID_CORE_RangePushA, (NvtxFunctionPointer)push_a},
    {NVTX_CBID_CORE_RangePushW, (NvtxFunctionPointer)push_w},
    {NVTX_CBID_CORE_RangePop, (NvtxFunctionPointer)pop},
};
static const struct hook core2[] = {
    {NVTX_CBID_CORE2_DomainMarkEx, (NvtxFunctionPointer)domain_mark},
    {NVTX_CBID_CORE2_DomainRangeStartEx, (NvtxFunctionPointer)domain_start},
    {NVTX_CBID_CORE2_DomainRangeEnd, (NvtxFunctionPointer)domain_end},
    {NVTX_CBID_CORE2_DomainRangePushEx, (NvtxFunctionPointer)domain_push},
    {NVTX_CBID_CORE2_DomainRangePop, (NvtxFunctionPointer)domain_pop},
    {NVTX_CBID_CORE2_DomainRegisterStringA, (NvtxFunctionPointer)register_string},
    {NVTX_CBID_CORE2_DomainCreateA, (NvtxFunctionPointer)create_domain},
};

/* size: entries of the table, which ends with a NULL that is not counted as a place. */
static void fill(const NvtxExportTableCallbacks *callbacks, NvtxCallbackModule module, const struct hook *hooks,
                 size_t n)
{
  NvtxFunctionTable table = NULL;
  unsigned int size = 0;
  if (!callbacks->GetModuleFunctionTable(module, &table, &size) || !table) return;
  for (size_t i = 0; i < n; i++)
    if (hooks[i].id < size && table[hooks[i].id]) *table[hooks[i].id] = hooks[i].function;
}

int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get_table);

/* 1: the functions are in place. */
__attribute__((visibility("default"))) int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get_table)
{
  const NvtxExportTableCallbacks *callbacks = get_table(NVTX_ETID_CALLBACKS);
  emuv_recording_configure();
  if (!callbacks || callbacks->struct_size < sizeof *callbacks) return 0;
  fill(callbacks, NVTX_CB_MODULE_CORE, core, sizeof core / sizeof *core);
  fill(callbacks, NVTX_CB_MODULE_CORE2, core2, sizeof core2 / sizeof *core2);
  return 1;
}
