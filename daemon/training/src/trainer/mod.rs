//! The stages of a training, a step at a time.
