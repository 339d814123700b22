// SPDX-License-Identifier: Apache-2.0
/* Source `transformer` against hand-counted bytes, FLOPs and orders of small models. */
#include "tests/unit/test_transformer.h"

static double step_flops(const struct emuv_workload *w, size_t step)
{
  double sum = 0;
  for (uint32_t i = 0; i < w->steps[step].n_ops; i++) sum += w->ops[w->steps[step].first_op + i].flops;
  return sum;
}

static void segments_have_the_shapes_bytes(void **state)
{
  (void)state;
  struct emuv_config c = small();
  struct emuv_workload w = build(&c);
  static const struct {
    const char *name;
    uint64_t bytes;
  } expected[] = {
      {"embedding", VOCAB * HIDDEN * 2},
      {"layers.0.attn.norm", HIDDEN * 2},
      {"layers.0.attn.q", HIDDEN * HIDDEN * 2},
      {"layers.1.attn.k", HIDDEN * KV_HEADS * HEAD_DIM * 2},
      {"layers.2.attn.v", HIDDEN * KV_HEADS * HEAD_DIM * 2},
      {"layers.2.attn.o", HIDDEN * HIDDEN * 2},
      {"layers.1.mlp.norm", HIDDEN * 2},
      {"layers.1.mlp.gate", HIDDEN * INNER * 2},
      {"layers.1.mlp.up", HIDDEN * INNER * 2},
      {"layers.2.mlp.down", HIDDEN * INNER * 2},
      {"norm", HIDDEN * 2},
      {"head", VOCAB * HIDDEN * 2},
      {"layers.2.kv", 102 * KV_TOKEN},
      {"activations.0", (HIDDEN + INNER) * 2},
      {"activations.1", (HIDDEN + INNER) * 2},
      {"logits", VOCAB * 2},
  };
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    const struct emuv_segment *s = segment(&w, expected[i].name);
    if (!s) fail_msg("no segment %s", expected[i].name);
    assert_int_equal(s->bytes, expected[i].bytes);
  }
  assert_int_equal(w.n_segments, 1 + LAYERS * 9 + 2 + LAYERS + 3);
  assert_int_equal(w.weight_bytes, 2 * w.parameters);
  assert_int_equal(w.weight_bytes, emuv_model_bytes(&c.model, 16, 0));
  emuv_workload_free(&w);
}

/* A decode step reads every weight once, of the embedding one row. */
static void decode_reads_each_weight_once(void **state)
{
  (void)state;
  struct emuv_config c = small();
  c.warmup = 1;
  struct emuv_workload w = build(&c);
  assert_int_equal(w.n_steps, 3);
  assert_int_equal(w.warmup_steps, 1);
  for (size_t step = 0; step < 3; step++) {
    assert_int_equal(w.steps[step].n_ops, 2 + 5 * LAYERS);
    assert_int_equal(w.steps[step].tokens, 1);
    assert_false(w.steps[step].prefill);
    assert_int_equal(step_bytes(&w, step, EMUV_SEGMENT_WEIGHT, EMUV_RANGE_READ),
                     w.weight_bytes - VOCAB * HIDDEN * 2 + HIDDEN * 2);
    assert_int_equal(step_bytes(&w, step, EMUV_SEGMENT_WEIGHT, EMUV_RANGE_WRITE | EMUV_RANGE_DYNAMIC), 0);
    assert_int_equal(step_bytes(&w, step, EMUV_SEGMENT_KV, EMUV_RANGE_WRITE), LAYERS * KV_TOKEN);
    /* Warm-up runs at 99, then 100 and 101 tokens are in the cache; the new one is read too. */
    assert_int_equal(step_bytes(&w, step, EMUV_SEGMENT_KV, EMUV_RANGE_READ), LAYERS * (100 + step) * KV_TOKEN);
  }
  emuv_workload_free(&w);
}

static void ops_come_in_the_order_of_a_layer(void **state)
{
  (void)state;
  static const char *const layer[] = {"qkv", "attention", "o", "gate_up", "down"};
  struct emuv_config c = small();
  struct emuv_workload w = build(&c);
  assert_string_equal(w.ops[0].name, "embedding");
  for (uint32_t i = 0; i < 5 * LAYERS; i++) {
    assert_string_equal(w.ops[1 + i].name, layer[i % 5]);
    assert_int_equal(w.ops[1 + i].layer, i / 5);
    assert_false(w.ops[1 + i].sync);
  }
  const struct emuv_op *head = &w.ops[1 + 5 * LAYERS];
  assert_string_equal(head->name, "head");
  assert_int_equal(head->layer, -1);
  assert_true(head->sync);
  emuv_workload_free(&w);
}

static void bytes_of_an_op_are_those_of_its_ranges(void **state)
{
  (void)state;
  struct emuv_config c = small_moe(4, 2);
  c.prompt = 20;
  struct emuv_workload w = build(&c);
  for (size_t i = 0; i < w.n_ops; i++) {
    double sum = 0;
    for (uint32_t r = 0; r < w.ops[i].n_ranges; r++) sum += (double)w.ranges[w.ops[i].first_range + r].bytes;
    assert_true(w.ops[i].bytes == sum);
    assert_true(sum > 0);
  }
  emuv_workload_free(&w);
}

/* 2 x batch x parameters that multiply + 4 x batch x length x heads x head_dim per layer. */
static void decode_flops_follow_the_formula(void **state)
{
  (void)state;
  struct emuv_config c = small();
  c.batch = 5;
  struct emuv_workload w = build(&c);
  double matrices = 2.0 * HIDDEN * HIDDEN + 2.0 * HIDDEN * KV_HEADS * HEAD_DIM + 3.0 * HIDDEN * INNER;
  double products = 2.0 * 5 * (LAYERS * matrices + (double)VOCAB * HIDDEN);
  assert_true(products == 10.0 * (double)emuv_model_active_parameters(&c.model));
  for (size_t step = 0; step < 2; step++) {
    double attention = 4.0 * 5 * (101.0 + (double)step) * HIDDEN * LAYERS;
    assert_true(fabs(step_flops(&w, step) - products - attention) < 1);
  }
  emuv_workload_free(&w);
}

static void prefill_counts_pairs_under_the_mask(void **state)
{
  (void)state;
  struct emuv_config c = small();
  c.prompt = 30;
  struct emuv_workload w = build(&c);
  assert_int_equal(w.n_steps, 3);
  assert_true(w.steps[0].prefill);
  assert_false(w.steps[1].prefill);
  assert_int_equal(w.steps[0].tokens, 1);
  const struct emuv_op *attention = op_of(&w, 0, 1, "attention");
  double pairs = 0;
  for (int i = 0; i < 30; i++) pairs += 70 + i + 1;
  assert_true(attention->flops == 4 * pairs * HIDDEN);
  assert_int_equal(op_bytes(&w, attention, EMUV_SEGMENT_KV, EMUV_RANGE_WRITE), 30 * KV_TOKEN);
  assert_int_equal(op_bytes(&w, attention, EMUV_SEGMENT_KV, EMUV_RANGE_READ), 100 * KV_TOKEN);
  assert_true(op_of(&w, 0, 1, "down")->flops == 2.0 * 30 * HIDDEN * INNER);
  assert_true(op_of(&w, 0, -1, "head")->flops == 2.0 * HIDDEN * VOCAB);
  /* The decode that follows finds `context` tokens. */
  assert_int_equal(op_bytes(&w, op_of(&w, 1, 0, "attention"), EMUV_SEGMENT_KV, EMUV_RANGE_READ), 101 * KV_TOKEN);
  emuv_workload_free(&w);
}

static void new_tokens_are_appended_before_they_are_read(void **state)
{
  (void)state;
  struct emuv_config c = small();
  c.batch = 4;
  c.kv_bits = 8;
  struct emuv_workload w = build(&c);
  const struct emuv_op *op = op_of(&w, 1, 2, "attention");
  const struct emuv_segment *kv = segment(&w, "layers.2.kv");
  uint64_t token = 4 * KV_TOKEN / 2;
  const struct emuv_range *append = &w.ranges[op->first_range + 1], *read = append + 1;
  assert_int_equal(append->flags, EMUV_RANGE_WRITE | EMUV_RANGE_NEW);
  assert_int_equal(append->offset, kv->offset + 101 * token);
  assert_int_equal(append->bytes, token);
  assert_int_equal(read->flags, EMUV_RANGE_READ);
  assert_int_equal(read->offset, kv->offset);
  assert_int_equal(read->bytes, 102 * token);
  assert_int_equal(kv->bytes, 102 * token);
  emuv_workload_free(&w);
}

/* Each op reads what the one before it wrote. */
static void activations_alternate(void **state)
{
  (void)state;
  struct emuv_config c = small();
  struct emuv_workload w = build(&c);
  uint32_t written = UINT32_MAX;
  for (uint32_t i = 0; i < w.steps[0].n_ops; i++) {
    uint32_t reads = 0, writes = 0;
    for (uint32_t r = w.ops[i].first_range; r < w.ops[i].first_range + w.ops[i].n_ranges; r++) {
      const struct emuv_range *range = &w.ranges[r];
      if (w.segments[range->segment].kind != EMUV_SEGMENT_ACTIVATION) continue;
      if (range->flags & EMUV_RANGE_READ) {
        assert_int_equal(range->segment, written);
        reads++;
      } else {
        assert_int_equal(range->flags, EMUV_RANGE_WRITE | EMUV_RANGE_NEW);
        assert_int_not_equal(range->segment, written);
        written = range->segment;
        writes++;
      }
    }
    assert_int_equal(reads, i > 0);
    assert_int_equal(writes, 1);
  }
  emuv_workload_free(&w);
}

static void activation_scale_scales_the_workspace(void **state)
{
  (void)state;
  struct emuv_config c = small();
  c.activation_scale = 2.5;
  c.batch = 3;
  c.prompt = 10;
  struct emuv_workload w = build(&c);
  assert_int_equal(segment(&w, "activations.1")->bytes, 25 * 3 * (HIDDEN + INNER) * 2);
  emuv_workload_free(&w);
  c.activation_scale = 0;
  w = build(&c);
  assert_int_equal(segment(&w, "activations.0")->bytes, 0);
  assert_int_equal(step_bytes(&w, 1, EMUV_SEGMENT_ACTIVATION, EMUV_RANGE_READ), 0);
  emuv_workload_free(&w);
}

static void launches_of_a_layer_sum_to_the_setting(void **state)
{
  (void)state;
  static const uint64_t settings[] = {1, 3, 7, 42, 68};
  for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
    for (int moe = 0; moe < 2; moe++) {
      struct emuv_config c = moe ? small_moe(8, 2) : small();
      c.launches_per_layer = settings[k];
      struct emuv_workload w = build(&c);
      uint64_t per_layer[LAYERS] = {0};
      for (uint32_t i = 0; i < w.steps[1].n_ops; i++) {
        const struct emuv_op *op = &w.ops[w.steps[1].first_op + i];
        if (op->layer >= 0) per_layer[op->layer] += op->launches;
      }
      for (int l = 0; l < LAYERS; l++) assert_int_equal(per_layer[l], settings[k]);
      uint64_t outside = op_of(&w, 1, -1, "embedding")->launches + op_of(&w, 1, -1, "head")->launches;
      assert_int_equal(outside, settings[k] > 1 ? settings[k] : 2);
      emuv_workload_free(&w);
    }
  }
}

static void quantised_matrices_carry_scales_and_zeros(void **state)
{
  (void)state;
  struct emuv_config c = small();
  c.weight_bits = 4;
  c.weight_group = 32;
  struct emuv_workload w = build(&c);
  /* gate: 64 x 160 values of 4 bits, 2 groups x 160 of one 16-bit scale and one 4-bit zero. */
  assert_int_equal(segment(&w, "layers.0.mlp.gate")->bytes, 64 * 160 / 2 + 2 * 160 * 2 + 2 * 160 / 2);
  assert_int_equal(segment(&w, "layers.0.mlp.down")->bytes, 64 * 160 / 2 + 5 * 64 * 2 + 5 * 64 / 2);
  assert_int_equal(segment(&w, "embedding")->bytes, VOCAB * HIDDEN * 2);
  assert_int_equal(segment(&w, "head")->bytes, VOCAB * HIDDEN * 2);
  assert_int_equal(segment(&w, "layers.1.mlp.norm")->bytes, HIDDEN * 2);
  assert_int_equal(w.weight_bytes, emuv_model_bytes(&c.model, 4, 32));
  emuv_workload_free(&w);
  c.weight_group = 0;
  w = build(&c);
  assert_int_equal(segment(&w, "layers.0.mlp.gate")->bytes, 64 * 160 / 2);
  emuv_workload_free(&w);
}

static void tied_head_is_the_embedding(void **state)
{
  (void)state;
  struct emuv_config c = small();
  c.model.tied_embeddings = true;
  struct emuv_workload w = build(&c);
  const struct emuv_op *head = op_of(&w, 0, -1, "head");
  assert_null(segment(&w, "head"));
  assert_int_equal(op_bytes(&w, head, EMUV_SEGMENT_WEIGHT, EMUV_RANGE_READ), (VOCAB + 1) * HIDDEN * 2);
  assert_int_equal(w.weight_bytes, 2 * emuv_model_parameters(&c.model));
  emuv_workload_free(&w);
}

static void plain_mlp_has_two_matrices(void **state)
{
  (void)state;
  struct emuv_config c = small();
  c.model.mlp_matrices = 2;
  struct emuv_workload w = build(&c);
  assert_null(segment(&w, "layers.0.mlp.gate"));
  assert_true(op_of(&w, 0, 0, "gate_up")->flops == 2.0 * HIDDEN * INNER);
  assert_int_equal(op_bytes(&w, op_of(&w, 0, 0, "down"), EMUV_SEGMENT_WEIGHT, EMUV_RANGE_READ), HIDDEN * INNER * 2);
  assert_int_equal(w.weight_bytes, 2 * w.parameters);
  emuv_workload_free(&w);
}

static void warmup_without_room_runs_from_zero(void **state)
{
  (void)state;
  struct emuv_config c = small();
  c.context = 0;
  c.warmup = 3;
  struct emuv_workload w = build(&c);
  assert_int_equal(segment(&w, "layers.0.kv")->bytes, 3 * KV_TOKEN);
  for (size_t step = 0; step < 5; step++) {
    uint64_t length = step < 3 ? step + 1 : step - 2;
    assert_int_equal(step_bytes(&w, step, EMUV_SEGMENT_KV, EMUV_RANGE_READ), LAYERS * length * KV_TOKEN);
  }
  emuv_workload_free(&w);
}

static void batch_reads_distinct_rows_once(void **state)
{
  (void)state;
  struct emuv_config c = small();
  c.batch = 4000;
  struct emuv_workload w = build(&c);
  const struct emuv_op *op = op_of(&w, 0, -1, "embedding");
  uint64_t rows = op_bytes(&w, op, EMUV_SEGMENT_WEIGHT, EMUV_RANGE_READ) / (HIDDEN * 2);
  assert_in_range(rows, VOCAB / 2, VOCAB); /* 4000 draws leave few of 512 rows out, and never name one twice */
  for (uint32_t r = 1; r + 1 < op->n_ranges; r++) {
    const struct emuv_range *range = &w.ranges[op->first_range + r];
    assert_true(range->offset > range[-1].offset + range[-1].bytes);
  }
  assert_int_equal(w.steps[0].tokens, 4000);
  emuv_workload_free(&w);
}

static void assert_refused(const struct emuv_config *c, const char *word)
{
  struct emuv_workload w = {0};
  struct emuv_err err = {0};
  assert_int_equal(emuv_source_find("transformer")->build(c, &w, &err), EMUV_ERR_RANGE);
  if (!strstr(err.text, word)) fail_msg("\"%s\" does not say \"%s\"", err.text, word);
  assert_null(w.segments);
  assert_null(w.ops);
}

static void nonsense_is_refused(void **state)
{
  (void)state;
  static const struct {
    size_t offset;
    uint64_t value;
    const char *word;
  } rows[] = {
      {offsetof(struct emuv_config, model.layers), 0, "layers"},
      {offsetof(struct emuv_config, model.hidden), (uint64_t)1 << 40, "hidden"},
      {offsetof(struct emuv_config, model.kv_heads), HEADS + 1, "kv_heads"},
      {offsetof(struct emuv_config, model.experts_per_token), 2, "experts_per_token"},
      {offsetof(struct emuv_config, model.mlp_matrices), 4, "mlp_matrices"},
      {offsetof(struct emuv_config, batch), 0, "batch"},
      {offsetof(struct emuv_config, context), (uint64_t)1 << 50, "context"},
      {offsetof(struct emuv_config, prompt), (uint64_t)1 << 50, "prompt"},
      {offsetof(struct emuv_config, weight_bits), 0, "weight_bits"},
      {offsetof(struct emuv_config, kv_bits), 65, "kv_bits"},
      {offsetof(struct emuv_config, tokens), (uint64_t)1 << 40, "launches"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct emuv_config c = small();
    memcpy((char *)&c + rows[i].offset, &rows[i].value, sizeof rows[i].value);
    assert_refused(&c, rows[i].word);
  }
}

static void absurd_sizes_are_refused_not_wrapped(void **state)
{
  (void)state;
  struct emuv_config c = small_moe(1u << 16, 1);
  c.model.hidden = 1u << 20;
  c.model.intermediate = 1u << 22;
  c.model.layers = 1u << 14;
  assert_refused(&c, "2^56");
  c = small();
  c.batch = 1u << 20;
  c.context = (uint64_t)1 << 40;
  c.model.kv_heads = c.model.heads = 1u << 10;
  assert_refused(&c, "KV");
  c = small();
  c.activation_scale = -1;
  assert_refused(&c, "activation");
  c = small();
  c.routing_repeat = 1.5;
  assert_refused(&c, "routing");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(segments_have_the_shapes_bytes),
      cmocka_unit_test(decode_reads_each_weight_once),
      cmocka_unit_test(ops_come_in_the_order_of_a_layer),
      cmocka_unit_test(bytes_of_an_op_are_those_of_its_ranges),
      cmocka_unit_test(decode_flops_follow_the_formula),
      cmocka_unit_test(prefill_counts_pairs_under_the_mask),
      cmocka_unit_test(new_tokens_are_appended_before_they_are_read),
      cmocka_unit_test(activations_alternate),
      cmocka_unit_test(activation_scale_scales_the_workspace),
      cmocka_unit_test(launches_of_a_layer_sum_to_the_setting),
      cmocka_unit_test(quantised_matrices_carry_scales_and_zeros),
      cmocka_unit_test(tied_head_is_the_embedding),
      cmocka_unit_test(plain_mlp_has_two_matrices),
      cmocka_unit_test(warmup_without_room_runs_from_zero),
      cmocka_unit_test(batch_reads_distinct_rows_once),
      cmocka_unit_test(nonsense_is_refused),
      cmocka_unit_test(absurd_sizes_are_refused_not_wrapped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
