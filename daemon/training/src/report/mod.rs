//! A page that shows how a training goes.
