//! What networks that normalise over the whole picture need, on every instruction set of this machine, against
//! a naive reference in `f64`.

use utsushi_kernels::{Affine, Columns, Cpu, Depthwise, Map, PreparedRow, Shape, channel_sums, prepare};

mod noise;

use noise::noise;

#[track_caller]
fn assert_close(what: &str, got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*got) - want).abs();
        assert!(error <= 2e-6 * (1.0 + want.abs()), "{what}: value {i} is {got}, not {want}");
    }
}

/// The map column that column `i` of a padded map shows.
fn reflected(i: isize, cols: usize) -> usize {
    let last = cols as isize - 1;
    (if i > last { 2 * last - i } else { i.abs() }) as usize
}

#[test]
fn maps_are_prepared() {
    // Channels, columns of the source, trim, left, right.
    for (channels, source_cols, trim, left, right) in [
        (3, 8, 0, 3, 3),
        (1, 2, 0, 1, 0),
        (16, 9, 1, 0, 1),
        (33, 14, 3, 1, 1),
        (64, 70, 0, 0, 0),
        (5, 5, 2, 0, 0),
    ] {
        let affine = Affine { scale: noise(1, channels), shift: noise(2, channels), slope: 0.2 };
        let rows: Vec<_> = (3..6).map(|seed| noise(seed, source_cols * channels)).collect();
        let slices: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
        let map = Map::new(&slices, source_cols, channels);
        let cols = source_cols - 2 * trim;
        let at = |row: usize, col: usize, c: usize| {
            let value = f64::from(rows[row][(col + trim) * channels + c]) * f64::from(affine.scale[c])
                + f64::from(affine.shift[c]);
            if value > 0.0 { value } else { value * 0.2 }
        };
        let columns = Columns { trim, left, right };
        let what = format!("{channels} channels, {source_cols} columns, {columns:?}");
        let each = |width: usize, value: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            (0..width + left + right)
                .flat_map(|col| {
                    let col = reflected(col as isize - left as isize, width);
                    (0..channels).map(move |c| value(col, c))
                })
                .collect()
        };
        for cpu in Cpu::available() {
            let want = [each(cols, &|col, c| at(2, col, c)), each(cols, &|col, c| at(0, col, c))].concat();
            let mut out = vec![f32::NAN; 2 * columns.count(source_cols, 1) * channels];
            prepare(cpu, &affine, columns, map, &[PreparedRow::Same(2), PreparedRow::Same(0)], &mut out);
            assert_close(&format!("{what}, {cpu:?}"), &out, &want);

            // Three quarters of the nearest, a quarter of the next, and columns likewise.
            let want = each(2 * cols, &|col, c| {
                let next = if col % 2 == 0 { (col / 2).max(1) - 1 } else { (col / 2 + 1).min(cols - 1) };
                let across = |row| 0.75 * at(row, col / 2, c) + 0.25 * at(row, next, c);
                0.75 * across(1) + 0.25 * across(2)
            });
            let mut out = vec![f32::NAN; columns.count(source_cols, 2) * channels];
            prepare(cpu, &affine, columns, map, &[PreparedRow::Between(1, 2)], &mut out);
            assert_close(&format!("{what}, enlarged, {cpu:?}"), &out, &want);
        }
    }
}

#[test]
fn sums_are_exact_enough_for_statistics() {
    for (rows, cols, channels, trim) in [(1, 1, 1, 0), (3, 7, 5, 1), (4, 300, 32, 3), (2, 9, 33, 4)] {
        let shape = Shape::new(rows, cols, channels);
        let map: Vec<f32> = noise(1, shape.len()).iter().map(|v| v + 0.5).collect();
        for cpu in Cpu::available() {
            let slices: Vec<&[f32]> = map.chunks_exact(shape.row_len()).collect();
            let sums = channel_sums(cpu, Map::new(&slices, cols, channels), trim);
            assert_eq!(sums.len(), channels);
            for (c, sum) in sums.iter().enumerate() {
                let values = (0..rows * cols)
                    .filter(|i| (trim..cols - trim).contains(&(i % cols)))
                    .map(|i| f64::from(map[i * channels + c]));
                let (plain, square) = values.fold((0.0, 0.0), |(a, b), v| (a + v, b + v * v));
                let close = |got: f64, want: f64| (got - want).abs() <= 1e-5 * (1.0 + want.abs());
                assert!(close(sum[0], plain) && close(sum[1], square), "{shape:?} {cpu:?} {sum:?}");
            }
        }
    }
}

#[test]
fn depthwise_convolutions() {
    for (rows, cols, channels) in
        [(1, 1, 1), (2, 3, 16), (5, 9, 17), (9, 33, 40), (1, 70, 3), (20, 5, 64), (3, 4, 15)]
    {
        let shape = Shape::new(rows + 2, cols + 2, channels);
        let (x, weights, bias) = (noise(1, shape.len()), noise(2, channels * 9), noise(3, channels));
        let mut want = Vec::new();
        for i in 0..rows * cols * channels {
            let (row, col, c) = (i / channels / cols, i / channels % cols, i % channels);
            let taps = (0..9).map(|tap| {
                let at = ((row + tap / 3) * shape.cols + col + tap % 3) * channels + c;
                f64::from(x[at]) * f64::from(weights[c * 9 + tap])
            });
            want.push(f64::from(bias[c]) + taps.sum::<f64>());
        }
        for cpu in Cpu::available() {
            let mut out = vec![f32::NAN; want.len()];
            let slices: Vec<&[f32]> = x.chunks_exact(shape.row_len()).collect();
            let map = Map::new(&slices, shape.cols, channels);
            Depthwise::new(cpu, &weights, &bias).run(map, &mut out);
            assert_close(&format!("{shape:?} {cpu:?}"), &out, &want);
        }
    }
}
