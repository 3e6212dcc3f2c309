//! Which built-in style a training starts from, if nobody says: the one whose pictures are most like the art.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use utsushi_engine::write_whole;
use utsushi_training::data::{Limits, Picture, scan};
use utsushi_training::recipe::Kind;

use super::{course, eyes, jury, material};
use crate::jobs::folder::JobFolder;
use crate::jobs::order::Order;
use crate::jobs::training::Halt;
use crate::library::Library;

/// Pictures to compare by.
const MOST_PHOTOS: usize = 12;
const MOST_ART: usize = 24;
const LONG_SIDE_PX: u32 = 512;

/// The order with a style to start from. It is the same when the job goes on: the job's folder keeps it.
pub(super) fn settled(order: &Order, library: &Library, folder: &JobFolder) -> Result<Order, Halt> {
    let path = folder.path().join("like");
    let kept = fs::read_to_string(&path).ok().filter(|id| Library::built_in_recipe(id).is_some());
    let like = match kept {
        Some(id) => id,
        None => {
            let found = ranking(order, library)?;
            let id = found.first().map_or(Kind::Drawn.base(), |(id, _)| id).to_owned();
            folder.log(&words(&id, &found));
            write_whole(&path, id.as_bytes())
                .map_err(|error| Halt::Disk(format!("{}: {error}", path.display())))?;
            id
        }
    };
    Ok(Order { like: Some(like), ..order.clone() })
}

/// Ids with the distance of what they draw from the art, the nearest first.
fn ranking(order: &Order, library: &Library) -> Result<Vec<(String, f64)>, Halt> {
    let failed = |error: &dyn std::fmt::Display| Halt::Failed(error.to_string());
    let each = MOST_ART.div_ceil(order.art.len().max(1));
    let art: Vec<_> = order.art.iter().flat_map(|folder| some(folder, each)).collect();
    let photos = some(&order.photos, MOST_PHOTOS);
    let features = eyes::features().map_err(Halt::Failed)?;
    let Some(judge) = jury::judge(&photos, &art, &*features)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for id in Library::built_in_ids().filter(|id| course::draws(id)) {
        let Some((_, file)) = library.volume(id) else { continue };
        let generator = file.generator(&[1.0]).map_err(|error| failed(&error))?;
        let scores = judge.hear(&*features, &*generator).map_err(|error| failed(&error))?;
        found.push((id.to_owned(), scores.distance));
    }
    found.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    Ok(found)
}

/// Some of a folder's pictures, always the same; none if it can't be read, which is told when it is to be learned from.
fn some(folder: &Path, most: usize) -> Vec<Picture> {
    let limits = Limits { long_side_px: LONG_SIDE_PX, max_pictures: most };
    let found = scan(folder, limits, &material::sheet, |_| ControlFlow::Continue(()));
    found
        .map(|found| found.pictures.into_iter().map(|found| found.sheet.picture).collect())
        .unwrap_or_default()
}

fn words(id: &str, found: &[(String, f64)]) -> String {
    let found: Vec<_> = found.iter().map(|(id, distance)| format!("{id} {distance:.3}")).collect();
    match found.is_empty() {
        true => format!("starting from {id}: there are too few pictures to see what the art is like"),
        false => {
            format!("starting from {id}; how far the art is from each style: {}", found.join(", "))
        }
    }
}
