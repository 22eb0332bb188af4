"""Synthetic batches and losses of the text tasks beyond classification and generation.

B is the batch size, L the recipe's tokens, C its outputs. All ids are int64 in [8, V), masks are ones.

| task                 | batch                                                                                                |
| -------------------- | ---------------------------------------------------------------------------------------------------- |
| token_classification | input_ids, attention_mask [B, L]; labels int64 [B, L] below C, the class of each token; of the        |
|                      | library `torch`, inputs and targets of these shapes                                                   |
| question_answering   | input_ids, attention_mask [B, L]; start_positions, end_positions int64 [B] within L                  |
| ranking              | input_ids, attention_mask [B, L] of query with document; labels float [B], 1 where they belong       |
| text_embedding       | input_ids, attention_mask [B, 2, L]: a text and its partner                                          |
| masked_language_     | input_ids, attention_mask [B, L]; labels [B, L]: the tokens that are hidden in input_ids, -100        |
| modeling             | elsewhere                                                                                            |
| preference_tuning    | input_ids, attention_mask, labels [B, 2, L]: the chosen and the rejected answer to one prompt, labels |
|                      | -100 on the prompt; references float [B, 2], what the reference gives the answers, here 0            |

A text pair is served one text at a time, and an answer is written, not compared: in evaluation mode the first of the two
passes alone. The reference of preference tuning is the policy with its adapters off; without adapters its log-probabilities
are computed once beforehand, as trl's `precompute_ref_log_probs` does, and come with the batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advisor.verify.batches import _FIRST_WORD, _MOTIF, Batch, Exercise, _read, _size, _Source, _vocabulary, own_loss
from advisor.verify.evidence import Job

_IGNORED = -100  # the label of tokens that count for nothing, in all of transformers
_MARKS = 3  # ids kept for what carries the signal: start of the answer, its end, a pair that belongs together
_BETA = 0.1  # how strongly the policy is held to the reference; arXiv:2305.18290, section 6
_SIMPO_BETA, _SIMPO_MARGIN = 2.0, 1.0  # arXiv:2405.14734, section 4
_ODDS_WEIGHT = 0.1  # of ORPO's odds ratio beside the likelihood: arXiv:2403.07691, appendix
_MASK = 4  # an id below the first word, as RoBERTa's 50264 and BERT's 103 are in their vocabularies
_MASKED = 0.15  # of the tokens, where the recipe names no rate: arXiv:1810.04805, section 3.1
_SCALE = 20.0  # of the cosine similarities: sentence-transformers' MultipleNegativesRankingLoss


def _tagged_tokens(job: Job, batch: int, source: _Source) -> Batch:
    tokens = _tokens(job, source, batch)
    return _read(job, tokens, tokens % _size(job, "outputs"))


def _marked_answers(job: Job, batch: int, source: _Source) -> Batch:
    length = _size(job, "sequence_length")
    starts = source.integers(1, length // 2, batch)
    ends = starts + source.integers(0, length // 2, batch)
    places = torch.arange(length, device=source.device)
    tokens = _tokens(job, source, batch)
    tokens = torch.where(places == ends.unsqueeze(-1), _FIRST_WORD + 1, tokens)
    tokens = torch.where(places == starts.unsqueeze(-1), _FIRST_WORD, tokens)
    return {**_masked(tokens), "start_positions": starts, "end_positions": ends}


def _judged_pairs(job: Job, batch: int, source: _Source) -> Batch:
    tokens = _tokens(job, source, batch)
    labels = torch.arange(batch, device=source.device) % 2
    tells = (torch.arange(tokens.shape[-1], device=source.device) % 2).bool() & labels.bool().unsqueeze(-1)
    return {**_masked(torch.where(tells, _FIRST_WORD + 2, tokens)), "labels": labels.float()}


def _partners(job: Job, batch: int, source: _Source) -> Batch:
    """Texts that repeat a motif, and partners that share its first half."""
    length = _size(job, "sequence_length")
    motif = _tokens(job, source, batch, 2, length=_MOTIF)
    shared = motif[:, :1].expand_as(motif)
    motif = torch.where(torch.arange(_MOTIF, device=source.device) < _MOTIF // 2, shared, motif)
    return _masked(motif.repeat(1, 1, length // _MOTIF + 1)[:, :, :length].contiguous())


def _hidden_tokens(job: Job, batch: int, source: _Source) -> Batch:
    """Texts that repeat a motif, of which the recipe's share of tokens is hidden."""
    length = _size(job, "sequence_length")
    tokens = _tokens(job, source, batch, length=_MOTIF).repeat(1, length // _MOTIF + 1)[:, :length]
    rate = next((technique.value for technique in job.recipe.regularization if technique.name == "masking"), None) or _MASKED
    is_hidden = source.normal(batch, length).argsort(-1) < max(1, round(rate * length))
    return {**_masked(torch.where(is_hidden, _MASK, tokens)), "labels": torch.where(is_hidden, tokens, _IGNORED)}


def _compared_answers(job: Job, batch: int, source: _Source) -> Batch:
    length = _size(job, "sequence_length")
    tokens = _tokens(job, source, batch, 2)
    is_prompt = torch.arange(length, device=source.device) < length // 2
    tokens = torch.where(is_prompt, tokens[:, :1].expand_as(tokens), tokens)
    labels = torch.where(is_prompt, _IGNORED, tokens)
    return {**_masked(tokens), "labels": labels, "references": torch.zeros(batch, 2, device=source.device)}


def _embed(model: nn.Module, batch: Batch, job: Job) -> Tensor:
    """[B, 2, W] mean-pooled and normalized vectors; [B, 1, W] where one text is served."""
    ids, mask = _served(model, batch["input_ids"], batch["attention_mask"])
    states = model(input_ids=ids.flatten(0, 1), attention_mask=mask.flatten(0, 1)).last_hidden_state
    weights = mask.flatten(0, 1).unsqueeze(-1).to(states.dtype)
    pooled = (states * weights).sum(1) / weights.sum(1)
    return F.normalize(pooled, dim=-1).unflatten(0, ids.shape[:2])


def _in_batch_negatives(vectors: Tensor, batch: Batch, job: Job) -> Tensor:
    """Each text picks its partner among all partners of the batch: arXiv:1705.00652, section 4.4; or comes near a teacher's vector."""
    if any(named.name == "mse" for named in job.recipe.loss):  # towards the vectors of a teacher, for which the partners stand
        return F.mse_loss(vectors[:, 0], vectors[:, -1].detach())
    if any(named.name == "cosine_similarity" for named in job.recipe.loss):  # partners have a score of 1, others of 0
        near, far = (F.cosine_similarity(vectors[:, 0], other) for other in (vectors[:, -1], vectors[:, -1].roll(1, 0)))
        return (1 - near).square().mean() + far.square().mean()
    similarities = _SCALE * vectors[:, 0] @ vectors[:, -1].T
    return F.cross_entropy(similarities, torch.arange(len(vectors), device=vectors.device))


def _compare(model: nn.Module, batch: Batch, job: Job) -> Any:
    """The policy's log-probabilities of both answers, [B, 2], and the reference's margin, [B]; served, the model's output."""
    if not model.training:
        return model(input_ids=batch["input_ids"][:, 0], attention_mask=batch["attention_mask"][:, 0], use_cache=False)
    references = batch["references"]
    if hasattr(model, "disable_adapter"):
        with torch.no_grad(), model.disable_adapter():
            references = _log_probabilities(model, batch)
    return _log_probabilities(model, batch), references


def _log_probabilities(model: nn.Module, batch: Batch) -> Tensor:
    ids, mask, labels = (batch[name].flatten(0, 1) for name in ("input_ids", "attention_mask", "labels"))
    return of_answers(model(input_ids=ids, attention_mask=mask, use_cache=False).logits, labels)


def of_answers(logits: Tensor, labels: Tensor) -> Tensor:
    """[B, 2] log-probabilities of answers, from logits [2 B, L, V] and labels [2 B, L]."""
    each = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=_IGNORED, reduction="none")
    return -each.view(len(labels), -1).sum(-1).view(-1, 2)


def is_compared(job: Job) -> bool:
    """Whether the recipe's loss compares two answers."""
    return any(named.name in _OBJECTIVES for named in job.recipe.loss)


def preference(outputs: Any, batch: Batch, job: Job) -> Tensor:
    """The recipe's objective over the log-probabilities of chosen and rejected answers; DPO where it names none of these."""
    policy, references = outputs
    each = policy / (batch["labels"][..., 1:] != _IGNORED).sum(-1)  # log-probability of a token of the answer, on average
    named = next((named.name for named in job.recipe.loss if named.name in _OBJECTIVES), "dpo")
    return _OBJECTIVES[named](policy - references, each)


def _dpo(gained: Tensor, each: Tensor) -> Tensor:
    """arXiv:2305.18290, equation 7."""
    return -F.logsigmoid(_BETA * (gained[:, 0] - gained[:, 1])).mean()


def _ipo(gained: Tensor, each: Tensor) -> Tensor:
    """arXiv:2310.12036, equation 17."""
    return (gained[:, 0] - gained[:, 1] - 1 / (2 * _BETA)).square().mean()


def _kto(gained: Tensor, each: Tensor) -> Tensor:
    """arXiv:2402.01306, equation 8; the batch's mean stands for the divergence that it measures rewards from."""
    signs = torch.tensor([1.0, -1.0], device=gained.device)
    return 1 - torch.sigmoid(_BETA * signs * (gained - gained.mean().detach())).mean()


def _orpo(gained: Tensor, each: Tensor) -> Tensor:
    """arXiv:2403.07691, equations 6 and 7, which need no reference."""
    odds = each - torch.log1p(-each.exp())
    return -each[:, 0].mean() - _ODDS_WEIGHT * F.logsigmoid(odds[:, 0] - odds[:, 1]).mean()


def _simpo(gained: Tensor, each: Tensor) -> Tensor:
    """arXiv:2405.14734, equation 6: likelihoods per token, a margin, and no reference."""
    return -F.logsigmoid(_SIMPO_BETA * (each[:, 0] - each[:, 1]) - _SIMPO_MARGIN).mean()


def _grpo(gained: Tensor, each: Tensor) -> Tensor:
    """The gradient of arXiv:2402.03300, equation 3, at the policy that wrote the answers: a group of two, of which one was right.

    PPO's is the same there, where nothing is clipped yet: its advantages come from a value model, which is not built here.
    """
    return (each[:, 1] - each[:, 0]).mean()


_OBJECTIVES = {"dpo": _dpo, "ipo": _ipo, "kto": _kto, "orpo": _orpo, "simpo": _simpo, "grpo": _grpo, "ppo": _grpo}


def _classify_tokens(outputs: Any, batch: Batch, job: Job) -> Tensor:
    if "targets" in batch:  # our own taggers put classes where cross-entropy looks for them
        return F.cross_entropy(outputs, batch["targets"])
    return F.cross_entropy(outputs.logits.flatten(0, 1), batch["labels"].flatten())


def _answer(model: nn.Module, batch: Batch, job: Job) -> Any:
    return model(**batch)


def _judge(outputs: Any, batch: Batch, job: Job) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs.logits.squeeze(-1), batch["labels"].to(outputs.logits.dtype))


def _served(model: nn.Module, *pairs: Tensor) -> tuple[Tensor, ...]:
    return pairs if model.training else tuple(pair[:, :1] for pair in pairs)


def _tokens(job: Job, source: _Source, *shape: int, length: int | None = None) -> Tensor:
    return source.integers(_FIRST_WORD + _MARKS, _vocabulary(job), *shape, length or _size(job, "sequence_length"))


def _masked(tokens: Tensor) -> Batch:
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


EXERCISES = {
    "token_classification": Exercise(_tagged_tokens, loss=_classify_tokens),
    "question_answering": Exercise(_marked_answers, _answer, own_loss),
    "ranking": Exercise(_judged_pairs, loss=_judge),
    "text_embedding": Exercise(_partners, _embed, _in_batch_negatives),
    "masked_language_modeling": Exercise(_hidden_tokens, _answer, own_loss),
    "preference_tuning": Exercise(_compared_answers, _compare, preference),
}
