//! The node against peers that mean well and peers that do not, over real sockets.

mod archive;
mod bounds;
mod images;
mod peers;
mod tls;
mod whole;
