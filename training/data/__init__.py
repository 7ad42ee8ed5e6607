"""What training and evaluation see: photographs, sequences behind their readers, samplers, batches."""
