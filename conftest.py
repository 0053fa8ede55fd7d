"""Settings of the whole test suite."""

import os

# The suite runs in as many processes as there are processors: each keeps to one thread, or they fight for them.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
