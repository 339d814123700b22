#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Greedy decode of a small mixture of experts in Mixtral's shape: which experts a token reads is part of the output.

`transformers` with random weights in fp16, experts run one by one (`experts_implementation="eager"`): a token's launches
read the two experts per layer that its router chose, and no others. --parameters FILE lists every expert's slices of the
stacked weights by themselves, with the tokens that used them; the routers' own choices are the source. Batch 1: the sums
over experts are made in a fixed order, so outputs repeat bit for bit.
NVTX ranges: "load", "warmup", "prefill", "token". Prints one JSON object (reference.py).
"""
import time

import reference
import torch
from reference import Clock, Range, describe
from transformers import MixtralConfig, MixtralForCausalLM


def options():
    p = reference.parser(__doc__)
    p.add_argument("--layers", type=int, default=8)
    p.add_argument("--hidden", type=int, default=1024)
    p.add_argument("--intermediate", type=int, default=3584)
    p.add_argument("--heads", type=int, default=16)
    p.add_argument("--kv-heads", type=int, default=4)
    p.add_argument("--experts", type=int, default=8)
    p.add_argument("--vocabulary", type=int, default=32000)
    p.add_argument("--prompt", type=int, default=64, help="tokens of the prompt")
    p.add_argument("--tokens", type=int, default=24, help="tokens to decode")
    p.add_argument("--warmup", type=int, default=4, help="tokens decoded before, outside the ranges")
    return p.parse_args()


def build(o):
    config = MixtralConfig(
        vocab_size=o.vocabulary, hidden_size=o.hidden, intermediate_size=o.intermediate, num_hidden_layers=o.layers,
        num_attention_heads=o.heads, num_key_value_heads=o.kv_heads, num_local_experts=o.experts,
        num_experts_per_tok=2, max_position_embeddings=4096, sliding_window=None, tie_word_embeddings=False)
    config._experts_implementation = "eager"
    torch.manual_seed(o.seed)
    torch.set_default_dtype(torch.float16)
    with torch.device(o.device):
        model = MixtralForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model.eval()


def watch_routers(model):
    """Keeps the routers' choices (tensors that the model makes anyway): lists, one per layer, an entry per call."""
    chosen = []
    for layer in model.model.layers:
        calls = []
        layer.mlp.gate.register_forward_hook(lambda _module, _inputs, out, calls=calls: calls.append(out[2]))
        chosen.append(calls)
    return chosen


def decode(model, prompt, tokens, prefill_name, clock):
    with Range(prefill_name):
        out = model(input_ids=prompt, use_cache=True)
        next_id = out.logits[:, -1].argmax(-1, keepdim=True)
        ids = [int(next_id)]
    for _ in range(tokens):
        with clock.unit():
            out = model(input_ids=next_id, past_key_values=out.past_key_values, use_cache=True)
            next_id = out.logits[:, -1].argmax(-1, keepdim=True)
            ids.append(int(next_id))
    return ids, out.past_key_values


def describe_model(model, routed):
    """routed[layer][token]: the experts chosen. An expert's matrices are slices of one parameter."""
    entries = []
    for name, p in model.named_parameters():
        if ".experts." not in name:
            entries.append(describe(name, p, "rows" if "embed_tokens" in name else "all"))
            continue
        layer = routed[int(name.split(".")[2])]
        for e in range(p.shape[0]):
            used = [token for token, experts in enumerate(layer) if e in experts]
            entries.append(describe(f"{name}[{e}]", p[e], "all", used))
    return entries


def main():
    o = options()
    started = time.perf_counter()
    with Range("load"):
        model = build(o)
        reference.synchronize(o.device)
    loaded = time.perf_counter()
    generator = torch.Generator().manual_seed(o.seed)
    prompt = torch.randint(0, o.vocabulary, (1, o.prompt), generator=generator).to(o.device)
    chosen = watch_routers(model)
    clock = Clock(o.device, "token")
    with torch.inference_mode():
        if o.warmup:
            with Range("warmup"):
                decode(model, prompt, o.warmup, "warmup prefill", Clock(o.device, "warm"))
        for calls in chosen:
            calls.clear()
        ids, cache = decode(model, prompt, o.tokens, "prefill", clock)
    routed = [[call.flatten().tolist() for call in calls[1:]] for calls in chosen]  # without the prefill
    entries = describe_model(model, routed) + reference.describe_cache(cache, [o.tokens - 1])
    reference.write_parameters(o.parameters, entries)
    pairs = {tuple(sorted(experts)) for layer in routed for experts in layer}
    reference.report(o, "token", clock.seconds, reference.digest([ids, routed]), model, ids=ids[:8],
                     experts_per_token=[sorted(layer[0]) for layer in routed], expert_pairs_seen=len(pairs),
                     load_s=loaded - started, total_s=time.perf_counter() - started)


if __name__ == "__main__":
    main()
