//! How good a style is, in numbers.
