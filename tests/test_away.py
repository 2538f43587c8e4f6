"""The stand-in for an accelerator."""

import numpy as np
import pytest
import torch
from away import accelerator


def test_the_stand_in_breaks_where_an_accelerator_would() -> None:
    here = torch.ones(3)
    with accelerator() as device:
        there = torch.zeros(3, device=device)
        assert there.device == device
        assert here.to(device).device == device
        assert (there + 1).device == device
        with pytest.raises(RuntimeError, match="expected all tensors to be on cuda"):
            there + here
        with pytest.raises(TypeError, match="fetch it"):
            there.numpy()
        assert np.array_equal((there + here.to(device)).cpu().numpy(), here.numpy())
