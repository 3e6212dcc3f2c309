// The kernels of training, by their names. Included where TRAINING(NAME) says what is made of each.
TRAINING(gather_16)
TRAINING(gather_32)
TRAINING(gather_64)
TRAINING(weight_parts)
TRAINING(sum_weights)
TRAINING(arrange_weights)
TRAINING(fold_borders)
