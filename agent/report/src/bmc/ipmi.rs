//! The kernel's IPMI device: one request, one answer, through ioctl (linux/ipmi.h).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc::{c_int, c_long, c_short, c_uchar, c_uint, c_ushort};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Time limit of one request. The kernel itself gives up after 5 s with C3h.
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Longer than any answer expected here.
const ANSWER_BYTES: usize = 272;

const SYSTEM_INTERFACE: c_int = 0x0c;
const BMC_CHANNEL: c_short = 0xf;
const RESPONSE: c_int = 1;

#[repr(C)]
struct Address {
    kind: c_int,
    channel: c_short,
    lun: c_uchar,
}

#[repr(C)]
struct Message {
    netfn: c_uchar,
    command: c_uchar,
    length: c_ushort,
    data: *mut u8,
}

#[repr(C)]
struct Request {
    address: *mut Address,
    address_length: c_uint,
    id: c_long,
    message: Message,
}

#[repr(C)]
struct Received {
    kind: c_int,
    address: *mut u8,
    address_length: c_uint,
    id: c_long,
    message: Message,
}

nix::ioctl_read!(send_command, b'i', 13, Request);
nix::ioctl_readwrite!(receive_message, b'i', 11, Received);

/// Answers IPMI requests.
pub(super) trait Requests {
    /// The answer without its completion code.
    ///
    /// # Errors
    /// No answer in time, or a completion code that is not 0.
    fn ask(&mut self, netfn: u8, command: u8, data: &[u8]) -> io::Result<Vec<u8>>;
}

pub(super) struct Device {
    file: File,
    next: c_long,
}

impl Device {
    /// # Errors
    /// The device cannot be opened.
    pub fn open(path: &Path) -> io::Result<Device> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_CLOEXEC | nix::libc::O_NONBLOCK)
            .open(path)?;
        Ok(Device { file, next: 1 })
    }

    fn send(&self, id: c_long, netfn: u8, command: u8, data: &[u8]) -> io::Result<()> {
        let mut address = Address {
            kind: SYSTEM_INTERFACE,
            channel: BMC_CHANNEL,
            lun: 0,
        };
        let mut data = data.to_vec();
        let mut request = Request {
            address: &raw mut address,
            address_length: size_of::<Address>() as c_uint,
            id,
            message: Message {
                netfn,
                command,
                length: data.len() as c_ushort,
                data: data.as_mut_ptr(),
            },
        };
        // SAFETY: the structures have the kernel's layout, and the two pointers are to buffers of the stated
        // lengths, which outlive the call.
        unsafe { send_command(self.file.as_raw_fd(), &mut request) }?;
        Ok(())
    }

    /// The next message: its id, and its bytes if it is a response.
    fn receive(&self) -> io::Result<(c_long, Option<Vec<u8>>)> {
        let mut address = [0_u8; 64];
        let mut data = vec![0_u8; ANSWER_BYTES];
        let mut received = Received {
            kind: 0,
            address: address.as_mut_ptr(),
            address_length: address.len() as c_uint,
            id: 0,
            message: Message {
                netfn: 0,
                command: 0,
                length: ANSWER_BYTES as c_ushort,
                data: data.as_mut_ptr(),
            },
        };
        // SAFETY: as in `send`; IPMICTL_RECEIVE_MSG_TRUNC truncates to the buffers.
        match unsafe { receive_message(self.file.as_raw_fd(), &mut received) } {
            Ok(_) => data.truncate(usize::from(received.message.length)),
            // Truncated: longer than any answer used here.
            Err(nix::Error::EMSGSIZE) => {}
            Err(e) => return Err(e.into()),
        }
        Ok((received.id, (received.kind == RESPONSE).then_some(data)))
    }
}

impl Requests for Device {
    fn ask(&mut self, netfn: u8, command: u8, data: &[u8]) -> io::Result<Vec<u8>> {
        let id = self.next;
        self.next += 1;
        self.send(id, netfn, command, data)?;
        let deadline = Instant::now() + ANSWER_TIME;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            if left.is_zero() || poll(&mut [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)], timeout)? == 0
            {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("the BMC did not answer within {} s", ANSWER_TIME.as_secs()),
                ));
            }
            match self.receive() {
                Ok((answered, Some(answer))) if answered == id => return completed(answer),
                // A late answer to an earlier request, or an event.
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// The answer after its completion code.
fn completed(mut answer: Vec<u8>) -> io::Result<Vec<u8>> {
    match answer.first() {
        Some(0) => {
            answer.remove(0);
            Ok(answer)
        }
        Some(code) => {
            // IPMI 2.0, table 5-2.
            let words = match code {
                0xc0 => "the BMC is busy",
                0xc1 => "the BMC does not know this command",
                0xc3 => "the BMC did not answer in time",
                0xd4 => "the BMC does not allow it",
                _ => "the BMC refuses",
            };
            Err(io::Error::other(format!("{words} (completion code {code:02x}h)")))
        }
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "an empty answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!((size_of::<Address>(), size_of::<Message>()), (8, 16));
        assert_eq!((size_of::<Request>(), size_of::<Received>()), (40, 48));
    }

    #[test]
    fn only_completion_code_0_is_an_answer() {
        assert_eq!(completed(vec![0, 1, 2]).unwrap(), [1, 2]);
        assert!(completed(vec![0xc1]).unwrap_err().to_string().contains("c1h"));
        assert!(completed(vec![]).is_err());
    }
}
