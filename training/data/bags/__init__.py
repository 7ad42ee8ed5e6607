"""From a recorded bag to a data set: which topics, which frames, which poses, and a report that says why."""
