//! Level netns: the real `slipway serve` on its real ports, and real clients, in network namespaces that each
//! test makes and that vanish with it.

#[path = "netns/capture.rs"]
mod capture;
#[path = "netns/clients.rs"]
mod clients;
#[path = "netns/crowd.rs"]
mod crowd;
#[path = "netns/explain.rs"]
mod explain;
#[path = "netns/explain_files.rs"]
mod explain_files;
#[path = "netns/flood.rs"]
mod flood;
#[path = "netns/full_disk.rs"]
mod full_disk;
#[path = "netns/http.rs"]
mod http;
#[path = "netns/leases.rs"]
mod leases;
#[path = "netns/lossy.rs"]
mod lossy;
#[path = "netns/malformed.rs"]
mod malformed;
#[path = "netns/neighbours.rs"]
mod neighbours;
#[path = "netns/port.rs"]
mod port;
#[path = "netns/raw.rs"]
mod raw;
#[path = "netns/relay.rs"]
mod relay;
#[path = "netns/rfc2131.rs"]
mod rfc2131;
#[path = "netns/silence.rs"]
mod silence;
#[path = "netns/site.rs"]
mod site;
#[path = "netns/stranger.rs"]
mod stranger;
#[path = "netns/tftp.rs"]
mod tftp;
#[path = "netns/v6.rs"]
mod v6;
