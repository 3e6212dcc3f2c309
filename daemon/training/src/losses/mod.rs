//! What a generator and a discriminator are to make small, a formula each.
