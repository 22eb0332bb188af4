"""Synthetic batches and losses of the tasks over images with texts.

B is the batch size, S the recipe's image size, L its tokens. Images are about N(0, 1), ids int64 in [8, V).

| task                      | models       | batch                                                                                |
| ------------------------- | ------------ | ------------------------------------------------------------------------------------ |
| contrastive_pretraining   | CLIP, SigLIP | pixel_values float [B, 3, S, S], input_ids, attention_mask [B, L]: an image, its text |
| image_captioning          | BLIP, GIT    | the same, with labels = input_ids: the caption                                       |
| visual_question_answering | BLIP         | the same, input_ids the question, labels [B, 8] the answer                           |
| visual_question_answering | GIT          | the same, input_ids the question with its answer, labels -100 on the question         |
| both of the last          | LLaVA kin    | the same; the image's tokens come before the text, and the decoder reads both         |
| the same, with a loss     | LLaVA kin    | input_ids, labels [B, 2, L]: a better and a worse answer to one question, and         |
| that compares answers     |              | references float [B, 2], as in preference_tuning                                      |
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advisor.verify.batches import _FIRST_WORD, Batch, Exercise, _size, _Source, own_loss
from advisor.verify.batches_language import is_compared, of_answers, preference
from advisor.verify.build import transformers_config
from advisor.verify.evidence import Job
from advisor.verify.seeing import reader_of, see

_IGNORED = -100  # the label of tokens that count for nothing, in all of transformers
_ANSWER = 8  # tokens of an answer: most of VQA's have one to three words
_CONVERSING = "AutoModelForImageTextToText"  # a decoder that reads the image as tokens among its own


def _captioned_images(job: Job, batch: int, source: _Source) -> Batch:
    tokens = _tokens(job, source, batch, _size(job, "sequence_length"))
    images = source.normal(batch, 3, _size(job, "image_size"), _size(job, "image_size"))
    return {"pixel_values": images, "input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


def _labelled_images(job: Job, batch: int, source: _Source) -> Batch:
    made = _captioned_images(job, batch, source)
    return {**made, "labels": made["input_ids"].clone()}


def _asked_images(job: Job, batch: int, source: _Source) -> Batch:
    made = _captioned_images(job, batch, source)
    if _is_compared(job):
        both = _tokens(job, source, batch, 2, made["input_ids"].shape[1])
        is_question = torch.arange(both.shape[-1], device=source.device) < both.shape[-1] - _ANSWER
        both = torch.where(is_question, both[:, :1].expand_as(both), both)
        labels = torch.where(is_question, _IGNORED, both)
        return {
            "pixel_values": made["pixel_values"],
            "input_ids": both,
            "labels": labels,
            "references": torch.zeros(batch, 2, device=source.device),
        }
    if transformers_config(job).model_type == "git" or job.build.factory == _CONVERSING:
        is_question = torch.arange(made["input_ids"].shape[1], device=source.device) < made["input_ids"].shape[1] - _ANSWER
        return {**made, "labels": torch.where(is_question, _IGNORED, made["input_ids"])}
    return {**made, "labels": _tokens(job, source, batch, _ANSWER)}


def _match(model: nn.Module, batch: Batch, job: Job) -> Any:
    """CLIP's symmetric cross-entropy, or SigLIP's sigmoid loss, as the library's class has it."""
    extras = {} if transformers_config(job).model_type == "siglip" else {"attention_mask": batch["attention_mask"]}
    wants_loss = not torch.compiler.is_exporting()  # which ties the graph to one size of batch
    return model(pixel_values=batch["pixel_values"], input_ids=batch["input_ids"], return_loss=wants_loss, **extras)


def _is_compared(job: Job) -> bool:
    return job.build.factory == _CONVERSING and is_compared(job)


def _write(model: nn.Module, batch: Batch, job: Job) -> Any:
    if _is_compared(job):
        return _compare(model, batch)
    return _converse(model, batch) if job.build.factory == _CONVERSING else model(**batch)


def _compare(model: Any, batch: Batch) -> Any:
    """The policy's and the reference's log-probabilities of both answers, each [B, 2]; served, the output for the first of them."""
    if not model.training:
        return _converse(model, {**batch, "input_ids": batch["input_ids"][:, 0], "labels": batch["labels"][:, 0]})
    two = {name: batch[name].flatten(0, 1) for name in ("input_ids", "labels")}
    two["pixel_values"] = batch["pixel_values"].repeat_interleave(2, 0)
    references = batch["references"]
    if hasattr(model, "disable_adapter"):
        with torch.no_grad(), model.disable_adapter():
            references = of_answers(_converse(model, two).logits, two["labels"])
    return of_answers(_converse(model, two).logits, two["labels"]), references


def _tell(outputs: Any, batch: Batch, job: Job) -> Tensor:
    return preference(outputs, batch, job) if isinstance(outputs, tuple) else own_loss(outputs, batch, job)


def _converse(model: Any, batch: Batch) -> Any:
    """The image's tokens put before the text's, as the class does it where placeholders stand, which needs their values."""
    from transformers.modeling_outputs import CausalLMOutput

    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    words = whole.get_input_embeddings()(batch["input_ids"])
    both = torch.cat([see(whole, batch["pixel_values"]).to(words.dtype), words], dim=1)
    everything = torch.ones(both.shape[:2], dtype=torch.long, device=both.device)
    states = reader_of(whole)(inputs_embeds=both, attention_mask=everything, use_cache=False).last_hidden_state
    logits = whole.lm_head(states[:, -words.shape[1] :])
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), batch["labels"][:, 1:].flatten(), ignore_index=_IGNORED)
    return CausalLMOutput(loss=loss, logits=logits)


def _tokens(job: Job, source: _Source, *shape: int) -> Tensor:
    return source.integers(_FIRST_WORD, int(transformers_config(job).get_text_config().vocab_size), *shape)


EXERCISES = {
    "contrastive_pretraining": Exercise(_captioned_images, _match, own_loss),
    "image_captioning": Exercise(_labelled_images, _write, own_loss),
    "visual_question_answering": Exercise(_asked_images, _write, _tell),
}
