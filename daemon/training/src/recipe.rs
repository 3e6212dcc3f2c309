//! Every number of a training, as a file.
