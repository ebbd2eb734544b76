"""A packed LSTM whose backward pass takes linear time on a processor without a GPU.

torch slices the projected input of a packed LSTM once a step, and the gradient of each slice is a
tensor of the size of the whole input: time grows with the square of the length. Splitting the input
once gives the same numbers (a test compares them) for a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence

State = tuple[torch.Tensor, torch.Tensor]


class LinearTimeLSTM(nn.Module):  # type: ignore[misc]
    """Stands in for a bidirectional ``nn.LSTM`` of one layer on sequences given longest first."""

    def __init__(self, lstm: nn.LSTM) -> None:
        """Share the weights of ``lstm``.

        Raises:
            ValueError: it has more layers, or one direction only.
        """
        super().__init__()
        if lstm.num_layers != 1 or not lstm.bidirectional:
            raise ValueError("only for one bidirectional layer")
        self.lstm = lstm

    def forward(
        self, packed: PackedSequence, hx: State | None = None
    ) -> tuple[PackedSequence, State]:
        """Packed outputs and the last states, ``(directions, batch, hidden)``, as ``nn.LSTM``."""
        sizes = packed.batch_sizes.tolist()
        if hx is None:
            zeros = packed.data.new_zeros(2, sizes[0], self.lstm.hidden_size)
            hx = (zeros, zeros)
        ahead, state = self._direction(packed.data, sizes, (hx[0][0], hx[1][0]), "")
        back, other = self._direction(packed.data, sizes, (hx[0][1], hx[1][1]), "_reverse")
        return (
            PackedSequence(torch.cat([ahead, back], 1), packed.batch_sizes),
            (torch.stack([state[0], other[0]]), torch.stack([state[1], other[1]])),
        )

    def _direction(
        self, data: torch.Tensor, sizes: list[int], start: State, suffix: str
    ) -> tuple[torch.Tensor, State]:
        w_ih, w_hh, b_ih, b_hh = (
            getattr(self.lstm, f"{name}_l0{suffix}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        steps = linear(data, w_ih, b_ih + b_hh).split(sizes)
        order = range(len(sizes) - 1, -1, -1) if suffix else range(len(sizes))
        rows = sizes[order[0]]
        h, c = start[0][:rows], start[1][:rows]
        outputs: list[torch.Tensor] = [data] * len(sizes)
        done: list[State] = []  # forward, the shortest sequences end first
        for at in order:
            if sizes[at] < rows:
                done.append((h[sizes[at] :], c[sizes[at] :]))
                h, c = h[: sizes[at]], c[: sizes[at]]
            elif sizes[at] > rows:  # backward, they begin last
                h = torch.cat([h, start[0][rows : sizes[at]]])
                c = torch.cat([c, start[1][rows : sizes[at]]])
            rows = sizes[at]
            i, f, g, o = torch.addmm(steps[at], h, w_hh.t()).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs[at] = h
        done.append((h, c))
        done.reverse()
        return torch.cat(outputs), (
            torch.cat([state[0] for state in done]),
            torch.cat([state[1] for state in done]),
        )


@contextmanager
def linear_time(*places: tuple[nn.Module, str]) -> Iterator[None]:
    """Let the LSTMs at ``(owner, attribute)`` run in linear time inside the block."""
    originals = [getattr(owner, name) for owner, name in places]
    for (owner, name), lstm in zip(places, originals, strict=True):
        setattr(owner, name, LinearTimeLSTM(lstm))
    try:
        yield
    finally:
        for (owner, name), lstm in zip(places, originals, strict=True):
            setattr(owner, name, lstm)
