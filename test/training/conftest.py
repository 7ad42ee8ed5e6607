import torch

# The tests run two at a time on two processors: threads of their own would only wait for each other.
torch.set_num_threads(1)
