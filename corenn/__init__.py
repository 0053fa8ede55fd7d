"""corenn: a deep-learning framework whose core knows no array library."""

from corenn.ops import *  # noqa: F403
from corenn.autodiff import GradientTape
from corenn.variable import Variable
from corenn.device import device
