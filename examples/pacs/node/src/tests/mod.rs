//! The node against peers that mean well and peers that do not, over real sockets.

mod archive;
mod aside;
mod bounds;
mod fake;
mod images;
mod peers;
mod tls;
mod whole;
