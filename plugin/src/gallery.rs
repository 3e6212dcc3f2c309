//! The thread that asks the daemon which styles there are, and then has a small copy of the layer drawn in each, one after
//! another, while the dialog is at work.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::pixels::Raster;
use utsushi_ipc::protocol::{BrushSize, Priority, StyleInfo, StyleShare, StylizeSpec};

use crate::live::Small;
use crate::trouble;

/// What the thread has found out.
pub(crate) enum News {
    /// The styles, or why there are none.
    Styles(Result<Arc<[StyleInfo]>, String>),
    /// Samples of the small copy in the style of this id.
    Drawn(String, Vec<u8>),
}

/// The thread, from outside. It ends by itself once this is dropped.
pub(crate) struct Gallery {
    orders: Sender<(Small, Vec<String>)>,
    news: Receiver<News>,
}

impl Gallery {
    /// Asks for the styles. `connect` and `wake`, which says that there is news, are called on the thread.
    pub(crate) fn start(
        mut connect: impl FnMut() -> Result<Client, ClientError> + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let (orders, inbox) = mpsc::channel::<(Small, Vec<String>)>();
        let (sender, news) = mpsc::channel();
        thread::spawn(move || {
            let tell = |news| {
                let told = sender.send(news);
                wake();
                told.is_ok()
            };
            let found = connect().and_then(|mut client| client.styles().map(|styles| (client, styles)));
            let mut client = match found {
                Ok((client, styles)) => {
                    tell(News::Styles(Ok(styles.into())));
                    Some(client)
                }
                Err(error) => {
                    tell(News::Styles(Err(trouble::describe(&error))));
                    return;
                }
            };
            for (small, ids) in inbox {
                for id in ids {
                    let Some(warm) = client.take().or_else(|| connect().ok()) else { return };
                    // One that can't be drawn keeps the picture that it has; why is said when it is chosen.
                    let Ok((warm, drawn)) = draw(warm, &small, &id) else { continue };
                    client = Some(warm);
                    if !tell(News::Drawn(id, drawn)) {
                        return;
                    }
                }
            }
        });
        Self { orders, news }
    }

    /// Has a copy of the layer drawn in these styles.
    pub(crate) fn draw(&self, small: Small, ids: Vec<String>) {
        // A thread that has ended has said why.
        let _ = self.orders.send((small, ids));
    }

    /// The next news, if there are any.
    pub(crate) fn news(&self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

fn draw(client: Client, small: &Small, id: &str) -> Result<(Client, Vec<u8>), ClientError> {
    let side = |px: i32| px.max(0) as u32;
    let raster = Raster::new(side(small.area.width), side(small.area.height), small.format)
        .map_err(|error| ClientError::Io(std::io::Error::other(error)))?;
    let row_bytes = raster.row_bytes();
    let spec = StylizeSpec {
        raster,
        mix: vec![StyleShare { id: id.into(), share: 1.0 }],
        strength: 1.0,
        brush_size: BrushSize::Factor(1.0),
        keep_colours: 0.0,
        seed: 0,
        grain: 1.0,
        place: None,
        priority: Priority::Interactive,
        profile: small.profile.clone(),
    };
    let mut drawn = Vec::with_capacity(small.samples.len());
    let (client, _) = client.stylize(
        &spec,
        |first_row, _, band| {
            let from = first_row as usize * row_bytes;
            band.copy_from_slice(&small.samples[from..from + band.len()]);
            Ok(())
        },
        |_, _, band| {
            drawn.extend_from_slice(band);
            Ok(())
        },
        |_| ControlFlow::Continue(()),
    )?;
    Ok((client, drawn))
}
