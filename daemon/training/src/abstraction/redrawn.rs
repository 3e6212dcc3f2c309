//! A picture as a style draws it.

use std::sync::Arc;

use utsushi_engine::{BrushScale, Depth, EngineError, Generator, Grain, Layout, Settings, Stylizer};

use crate::data::Picture;

/// What a generator makes of a picture, as the daemon draws it at full strength.
///
/// # Errors
/// If the network fails.
pub fn redrawn(generator: &Arc<dyn Generator>, picture: &Picture) -> Result<Picture, EngineError> {
    let settings = Settings {
        width: picture.width as usize,
        height: picture.height as usize,
        layout: Layout::Rgb,
        depth: Depth::U8,
        strength: 1.0,
        keep_colours: 0.0,
        brush: BrushScale::new(1.0).expect("1 is a brush size"),
        grain: Grain::default(),
        place: None,
    };
    let mut stylizer = Stylizer::new(&vec![(Arc::clone(generator), 1.0)], settings);
    let mut rgb = Vec::with_capacity(picture.rgb.len());
    stylizer.push(&picture.rgb, &mut rgb)?;
    while rgb.len() < picture.rgb.len() {
        stylizer.push(&[], &mut rgb)?;
    }
    Ok(Picture { width: picture.width, height: picture.height, rgb })
}
