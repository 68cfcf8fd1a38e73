"""Models of Hugging Face's transformers, with random weights, are explained as they are called.

They need the extra ``hf``: ``pip install -e '.[hf]'``; without it they are skipped.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from drf.lrp import attribute

tf = pytest.importorskip("transformers")

IDS = torch.randint(5, 90, (4, 7), generator=torch.Generator().manual_seed(0))
MASK = (torch.arange(7) < torch.tensor([7, 5, 7, 7])[:, None]).long()
SMALL = {"vocab_size": 99, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
SHARED = {**SMALL, "num_key_value_heads": 2}
T5 = {"vocab_size": 99, "d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 2, "num_heads": 4}
PATCHES = {"num_input_channels": 2, "context_length": 32, "patch_length": 8, "patch_stride": 8, "d_model": 16}
SERIES = {"prediction_length": 4, "context_length": 12, "lags_sequence": [1, 2], "d_model": 16, "num_time_features": 1}
PAST = {
    "past_values": torch.randn(4, 14).abs(),
    "past_time_features": torch.randn(4, 14, 1),
    "past_observed_mask": torch.ones(4, 14),
    "future_values": torch.randn(4, 4),
    "future_time_features": torch.randn(4, 4, 1),
}


def classes(y: Any) -> torch.Tensor:
    return y.logits


def last(y: Any) -> torch.Tensor:
    return y.logits[:, -1]


MODELS: dict[str, tuple[Callable[[], Any], dict[str, Any], Callable[[Any], Any], Any]] = {
    "Bert": (
        lambda: tf.BertForSequenceClassification(tf.BertConfig(**SMALL)),
        {"input_ids": IDS, "attention_mask": MASK},
        classes,
        (0 * IDS[:1], None),
    ),
    "Bert, eager": (
        lambda: tf.BertForSequenceClassification(tf.BertConfig(attn_implementation="eager", **SMALL)),
        {"input_ids": IDS, "attention_mask": MASK},
        classes,
        (0 * IDS[:1], None),
    ),
    "GPT-2": (
        lambda: tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=99, n_embd=16, n_layer=2, n_head=4)),
        {"input_ids": IDS},
        last,
        0 * IDS[:1],
    ),
    "Llama": (lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**SHARED)), {"input_ids": IDS}, last, 0 * IDS[:1]),
    "Qwen2": (
        lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**SHARED)),
        {"input_ids": IDS, "attention_mask": MASK},
        last,
        (0 * IDS[:1], None),
    ),
    "Mixtral": (
        lambda: tf.MixtralForCausalLM(tf.MixtralConfig(num_local_experts=4, **SHARED)),
        {"input_ids": IDS},
        last,
        0 * IDS[:1],
    ),
    "Mamba": (
        lambda: tf.MambaForCausalLM(tf.MambaConfig(vocab_size=99, hidden_size=16, num_hidden_layers=2, state_size=4)),
        {"input_ids": IDS},
        last,
        0 * IDS[:1],
    ),
    "T5": (
        lambda: tf.T5ForConditionalGeneration(tf.T5Config(**T5)),
        {"input_ids": IDS, "decoder_input_ids": IDS[:, :3]},
        last,
        (0 * IDS[:1], 0 * IDS[:1, :3]),
    ),
    "PatchTST": (
        lambda: tf.PatchTSTForPrediction(
            tf.PatchTSTConfig(prediction_length=4, use_cls_token=False, num_attention_heads=4, **PATCHES)
        ),
        {"past_values": torch.randn(4, 32, 2)},
        lambda y: y.prediction_outputs,
        None,
    ),
    "TimeSeriesTransformer": (
        lambda: tf.TimeSeriesTransformerForPrediction(tf.TimeSeriesTransformerConfig(**SERIES)),
        PAST,
        lambda y: y.params[1],
        None,
    ),
}


@pytest.mark.parametrize("rule", ["epsilon", "shapley"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore")
def test_it_is_explained_without_a_class_around_it(name: str, rule: str) -> None:
    make, keywords, select, baseline = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    against = {"baseline": baseline} if rule == "shapley" and baseline is not None else {}
    account = attribute(model, composite=rule, select=select, target=1, **against, **keywords)
    with torch.no_grad():
        own = select(model(**keywords)).reshape(4, -1)[:, 1]
    assert torch.allclose(account.output, own, rtol=1e-4, atol=1e-4 * float(own.abs().max()))
    assert (account.residual.abs() <= 1e-4 * account.output.abs().clamp_min(1e-2)).all()
    assert account.relevances[0].any()
