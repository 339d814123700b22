// SPDX-License-Identifier: Apache-2.0
/* A plain CUDA program whose work is in graphs, with all that can happen to one: nodes of every kind that touches memory,
 * a child graph with two branches, memory nodes, nodes set anew and switched off, an update from another graph, an operand
 * that is freed and allocated again, a child graph twice in one graph.
 *
 * Checks its numbers. Prints one JSON object: "s_per_unit", "sha256" (here FNV-1a of the results), "right".
 * --parameters FILE writes what each launch touches, for trace_truth (vmm_managed.cu says how). NVTX range "step".
 *
 *   nvcc -O2 -arch=sm_90 -o graph_nodes tests/gpu/graph_nodes.cu && ./graph_nodes */
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda_runtime.h>
#include <map>
#include <nvtx3/nvToolsExt.h>
#include <string>
#include <vector>

namespace
{

constexpr size_t kElements = 1 << 18, kBytes = kElements * sizeof(float);
constexpr int kThreads = 256, kBlocks = kElements / kThreads;

void check(cudaError_t rc, const char *what)
{
  if (rc == cudaSuccess) return;
  fprintf(stderr, "graph_nodes: %s: %s\n", what, cudaGetErrorString(rc));
  exit(1);
}
#define CHECK(call) check((call), #call)

__device__ size_t me() { return blockIdx.x * (size_t)blockDim.x + threadIdx.x; }

/* One name each, so that launches can be told apart. */
__global__ void node_fill(float *out, float value) { out[me()] += value; }
__global__ void node_to_graph_memory(const float *in, float *out) { out[me()] = in[me()] * 2; }
__global__ void node_fork(const float *in, float *out) { out[me()] = in[me()] + 1; }
__global__ void node_left(const float *in, float *out) { out[me()] = in[me()] * 3; }
__global__ void node_right(const float *in, float *out) { out[me()] = in[me()] * 5; }
__global__ void node_join(const float *left, const float *right, float *out) { out[me()] = left[me()] + right[me()]; }
__global__ void node_updated(float *data, float value) { data[me()] = value; }
__global__ void node_nested(const float *in, float *out) { out[me()] = in[me()] - 1; }

struct Extent {
  const void *address;
  const char *access;
};

class Expected
{
public:
  void note(const char *kernel, std::vector<Extent> extents)
  {
    if (!text_.empty()) text_ += ",\n";
    text_ += "  {\"kernel\": \"" + std::string(kernel) + "\", \"nth\": " + std::to_string(seen_[kernel]++) +
             ", \"indirect\": false, \"extents\": [";
    for (size_t i = 0; i < extents.size(); i++)
      text_ += std::string(i ? ", " : "") + "{\"address\": " + std::to_string((uintptr_t)extents[i].address) +
               ", \"bytes\": " + std::to_string(kBytes) + ", \"access\": \"" + extents[i].access + "\"}";
    text_ += "]}";
  }
  void write(const char *path) const
  {
    FILE *f = fopen(path, "w");
    if (!f) return;
    fprintf(f, "{\"launches\": [\n%s\n]}\n", text_.c_str());
    fclose(f);
  }

private:
  std::map<std::string, int> seen_;
  std::string text_;
};

Expected expected;
uint64_t hash = 0xcbf29ce484222325;
bool right = true;

void take(const char *what, const float *device, float want)
{
  std::vector<float> host(kElements);
  CHECK(cudaMemcpy(host.data(), device, kBytes, cudaMemcpyDeviceToHost));
  const unsigned char *p = (const unsigned char *)host.data();
  for (size_t i = 0; i < kBytes; i++) hash = (hash ^ p[i]) * 0x100000001b3;
  if (host[0] == want && host[kElements - 1] == want) return;
  fprintf(stderr, "graph_nodes: %s: %g and %g instead of %g\n", what, (double)host[0], (double)host[kElements - 1],
          (double)want);
  right = false;
}

float *array()
{
  float *p;
  CHECK(cudaMalloc(&p, kBytes));
  return p;
}

struct Arrays {
  float *a = array(), *b = array(), *c = array(), *fork = array(), *left = array(), *right = array(), *out = array();
  float *graph_memory = nullptr;
};

cudaGraph_t end_capture(cudaStream_t stream)
{
  cudaGraph_t graph;
  CHECK(cudaStreamEndCapture(stream, &graph));
  return graph;
}

/* fork, two branches side by side, join: b + 1, times 3 and times 5, sum */
cudaGraph_t capture_child(const Arrays &m, cudaStream_t stream, cudaStream_t other)
{
  cudaEvent_t forked, joined;
  CHECK(cudaEventCreate(&forked));
  CHECK(cudaEventCreate(&joined));
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  node_fork<<<kBlocks, kThreads, 0, stream>>>(m.b, m.fork);
  CHECK(cudaEventRecord(forked, stream));
  CHECK(cudaStreamWaitEvent(other, forked, 0));
  node_left<<<kBlocks, kThreads, 0, stream>>>(m.fork, m.left);
  node_right<<<kBlocks, kThreads, 0, other>>>(m.fork, m.right);
  CHECK(cudaEventRecord(joined, other));
  CHECK(cudaStreamWaitEvent(stream, joined, 0));
  node_join<<<kBlocks, kThreads, 0, stream>>>(m.left, m.right, m.out);
  return end_capture(stream);
}

/* a = 0, a += 4, memory of the graph = 2 a, b = that; then the child graph */
cudaGraph_t capture_main(Arrays &m, cudaStream_t stream, cudaGraph_t child)
{
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  CHECK(cudaMemsetAsync(m.a, 0, kBytes, stream));
  node_fill<<<kBlocks, kThreads, 0, stream>>>(m.a, 4.0f);
  CHECK(cudaMallocAsync(&m.graph_memory, kBytes, stream));
  node_to_graph_memory<<<kBlocks, kThreads, 0, stream>>>(m.a, m.graph_memory);
  CHECK(cudaMemcpyAsync(m.b, m.graph_memory, kBytes, cudaMemcpyDeviceToDevice, stream));
  CHECK(cudaFreeAsync(m.graph_memory, stream));
  cudaGraph_t graph = end_capture(stream);
  std::vector<cudaGraphNode_t> nodes(64);
  size_t n = nodes.size();
  CHECK(cudaGraphGetNodes(graph, nodes.data(), &n));
  cudaGraphNode_t added;
  CHECK(cudaGraphAddChildGraphNode(&added, graph, nodes.data() + n - 1, 1, child));
  return graph;
}

void expect_child(const Arrays &m)
{
  expected.note("node_fork", {{m.b, "read"}, {m.fork, "write"}});
  expected.note("node_left", {{m.fork, "read"}, {m.left, "write"}});
  expected.note("node_right", {{m.fork, "read"}, {m.right, "write"}});
  expected.note("node_join", {{m.left, "read"}, {m.right, "read"}, {m.out, "write"}});
}

void launch_main(const Arrays &m, cudaGraphExec_t exec, cudaStream_t stream, const float *filled, bool fill, float want)
{
  nvtxRangePushA("step");
  CHECK(cudaGraphLaunch(exec, stream));
  CHECK(cudaStreamSynchronize(stream));
  nvtxRangePop();
  if (fill) expected.note("node_fill", {{filled, "read,write"}});
  expected.note("node_to_graph_memory", {{m.a, "read"}, {m.graph_memory, "write"}});
  expect_child(m);
  take("result", m.out, want);
}

cudaGraphNode_t find_kernel(cudaGraph_t graph, const void *function)
{
  std::vector<cudaGraphNode_t> nodes(64);
  size_t n = nodes.size();
  CHECK(cudaGraphGetNodes(graph, nodes.data(), &n));
  for (size_t i = 0; i < n; i++) {
    cudaGraphNodeType type;
    cudaKernelNodeParams p;
    CHECK(cudaGraphNodeGetType(nodes[i], &type));
    if (type == cudaGraphNodeTypeKernel && cudaGraphKernelNodeGetParams(nodes[i], &p) == cudaSuccess && p.func == function)
      return nodes[i];
  }
  fprintf(stderr, "graph_nodes: a kernel is not in its graph\n");
  exit(1);
}

void set_and_switch(const Arrays &m, cudaGraph_t graph, cudaGraphExec_t exec, cudaStream_t stream)
{
  cudaGraphNode_t fill = find_kernel(graph, (const void *)node_fill);
  cudaKernelNodeParams p;
  CHECK(cudaGraphKernelNodeGetParams(fill, &p));
  float *target = m.c, value = 7;
  void *arguments[] = {&target, &value};
  p.kernelParams = arguments;
  CHECK(cudaGraphExecKernelNodeSetParams(exec, fill, &p));
  launch_main(m, exec, stream, m.c, true, 8.0f); /* a stays 0 */
  CHECK(cudaGraphNodeSetEnabled(exec, fill, 0));
  launch_main(m, exec, stream, nullptr, false, 8.0f);
  CHECK(cudaGraphNodeSetEnabled(exec, fill, 1));
  target = m.a;
  CHECK(cudaGraphExecKernelNodeSetParams(exec, fill, &p));
  launch_main(m, exec, stream, m.a, true, 120.0f); /* (2 x 7 + 1) x 8 */
}

cudaGraph_t capture_update(float *data, float value, cudaStream_t stream)
{
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  node_updated<<<kBlocks, kThreads, 0, stream>>>(data, value);
  return end_capture(stream);
}

/* One executable graph, updated from new captures; then an operand that was freed and came back. */
void update(const Arrays &m, cudaStream_t stream)
{
  cudaGraphExec_t exec = nullptr;
  float *moving = array();
  float *const targets[] = {m.a, m.b, moving};
  for (int i = 0; i < 3; i++) {
    cudaGraph_t graph = capture_update(targets[i], 10.0f + i, stream);
    cudaGraphExecUpdateResultInfo info;
    if (i == 0)
      CHECK(cudaGraphInstantiate(&exec, graph, 0));
    else
      CHECK(cudaGraphExecUpdate(exec, graph, &info));
    CHECK(cudaGraphDestroy(graph));
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    expected.note("node_updated", {{targets[i], "write"}});
    take("update", targets[i], 10.0f + i);
  }
  CHECK(cudaFree(moving));
  float *again = array();
  if (again == moving) {
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    expected.note("node_updated", {{again, "write"}});
    take("freed and back", again, 12.0f);
  }
  CHECK(cudaGraphExecDestroy(exec));
}

/* The child graph twice in another graph, one after the other. */
void nest(const Arrays &m, cudaGraph_t child, cudaStream_t stream)
{
  cudaGraphExec_t exec;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  node_nested<<<kBlocks, kThreads, 0, stream>>>(m.out, m.b);
  cudaGraph_t graph = end_capture(stream);
  std::vector<cudaGraphNode_t> nodes(8);
  size_t n = nodes.size();
  cudaGraphNode_t added, twice;
  CHECK(cudaGraphGetNodes(graph, nodes.data(), &n));
  CHECK(cudaGraphAddChildGraphNode(&added, graph, nodes.data(), 1, child));
  CHECK(cudaGraphAddChildGraphNode(&twice, graph, &added, 1, child)); /* the same one again */
  CHECK(cudaGraphInstantiate(&exec, graph, 0));
  CHECK(cudaGraphDestroy(graph));
  CHECK(cudaGraphLaunch(exec, stream));
  CHECK(cudaStreamSynchronize(stream));
  expected.note("node_nested", {{m.out, "read"}, {m.b, "write"}});
  expect_child(m);
  expect_child(m);
  CHECK(cudaGraphExecDestroy(exec));
}

} // namespace

int main(int argc, char **argv)
{
  const char *parameters = argc == 3 && strcmp(argv[1], "--parameters") == 0 ? argv[2] : nullptr;
  cudaStream_t stream, other;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  CHECK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  Arrays m;
  CHECK(cudaMemset(m.c, 0, kBytes));
  cudaGraph_t child = capture_child(m, stream, other), graph = capture_main(m, stream, child);
  cudaGraphExec_t exec;
  CHECK(cudaGraphInstantiate(&exec, graph, 0));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; i++) launch_main(m, exec, stream, m.a, true, 72.0f); /* (2 x 4 + 1) x 8 */
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / 5;
  set_and_switch(m, graph, exec, stream);
  take("set elsewhere", m.c, 7.0f);
  CHECK(cudaGraphExecDestroy(exec));
  CHECK(cudaGraphDestroy(graph));
  update(m, stream);
  nest(m, child, stream);
  if (parameters) expected.write(parameters);
  printf("{\"unit\": \"step\", \"s_per_unit\": %.9f, \"sha256\": \"%016llx\", \"right\": %s}\n", seconds,
         (unsigned long long)hash, right ? "true" : "false");
  return right ? 0 : 1;
}
