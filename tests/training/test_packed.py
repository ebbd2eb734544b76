"""The linear-time LSTM of training gives what torch gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from pipeline.training.packed import LinearTimeLSTM


@pytest.mark.parametrize("lengths", [[9, 9, 6, 6, 2, 1], [4, 4, 4], [1], [5, 3]])
@pytest.mark.parametrize("given", [True, False], ids=["with start", "without start"])
def test_outputs_states_and_gradients_are_those_of_torch(lengths: list[int], given: bool) -> None:
    """Outputs, last states and the gradients of all weights agree within rounding."""
    torch.manual_seed(3)
    lstm = nn.LSTM(5, 7, batch_first=True, bidirectional=True)
    rows = len(lengths)
    packed = pack_padded_sequence(torch.randn(rows, lengths[0], 5), lengths, batch_first=True)
    start = (torch.randn(2, rows, 7), torch.randn(2, rows, 7)) if given else None
    found = []
    for module in (lstm, LinearTimeLSTM(lstm)):
        lstm.zero_grad()
        output, (h, c) = module(packed, start)
        (output.data.pow(2).sum() + h.sum() + c.pow(3).sum()).backward()
        gradients = [weight.grad.clone() for weight in lstm.parameters() if weight.grad is not None]
        found.append([output.data, h, c, *gradients])
    assert len(found[0]) == len(found[1]) == 11
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
