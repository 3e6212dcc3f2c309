//! What can go wrong while a picture is re-drawn.

/// The network failed: a defect, or no memory left.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// candle's word for it.
    #[error("the network failed: {0}")]
    Network(#[from] candle_core::Error),
}
