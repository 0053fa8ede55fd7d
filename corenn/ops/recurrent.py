"""Recurrent networks: ``lstm``, ``gru`` and ``simple_rnn`` over whole sequences, and one step of each.

A sequence is one op, so that a backend can run it as a whole; elsewhere it is a loop over time in other ops, after one
matrix product that projects the inputs of all steps.  Its gradient is an op too.  It runs back over what the forward
pass kept (the states and the values of the gates), and can itself be differentiated through its parts.
"""

from __future__ import annotations

from corenn.ops._gru import gru, gru_cell
from corenn.ops._lstm import lstm, lstm_cell
from corenn.ops._simple_rnn import rnn_cell, simple_rnn

__all__ = ["gru", "gru_cell", "lstm", "lstm_cell", "rnn_cell", "simple_rnn"]
