//! The line between agent and worker: messages and descriptors through a Unix socket.
//!
//! A line that is closed gives an error: Rust programs ignore `SIGPIPE`.
//!
//! Descriptors travel from the agent to the worker only. The agent never takes any, so a
//! worker that was taken over cannot fill its table.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::protocol::{Inbox, Nonsense, write};

/// Descriptors that travel with one message, at most.
const DESCRIPTORS_MAX: usize = 2;

/// One end of the line.
#[derive(Debug)]
pub(super) struct Line {
    socket: OwnedFd,
    inbox: Inbox,
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// Nothing within the time.
    Nothing,
    /// Something; perhaps a message is whole now.
    Something,
    /// The other end is closed.
    End,
}

impl Line {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { socket, inbox: Inbox::default() }
    }

    /// Sends a message, and descriptors with its first byte.
    pub(super) fn send(
        &self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let bytes = write(message).ok_or_else(|| io::Error::other("a message is too long"))?;
        let mut rest = bytes.as_slice();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors"));
        }
        let mut with_descriptors = !descriptors.is_empty();
        while !rest.is_empty() {
            let part = [io::IoSlice::new(rest)];
            // A worker may write, and send nothing.
            let sent = match with_descriptors {
                true => sendmsg(&self.socket, &part, &mut control, SendFlags::empty()),
                false => rustix::io::write(&self.socket, rest),
            };
            match sent {
                Ok(count) => {
                    with_descriptors = false;
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes what comes within a time, without descriptors.
    pub(super) fn listen(&mut self, time_max: Duration) -> io::Result<Came> {
        let timeout = Timespec::try_from(time_max).map_err(io::Error::other)?;
        let mut waiting = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut waiting, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Came::Nothing),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 16 * 1024];
        match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => Ok(Came::End),
            Ok((count, _)) => {
                let bytes = bytes.get(..count).unwrap_or_default();
                self.inbox.push(bytes).map_err(io::Error::other)?;
                Ok(Came::Something)
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(Came::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for whatever comes next and adds its descriptors to those given; `false` at the
    /// end of the line.
    pub(super) fn wait(&mut self, descriptors: &mut Vec<OwnedFd>) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [io::IoSliceMut::new(&mut bytes)];
        let count = loop {
            match recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::empty()) {
                Ok(message) => break message.bytes,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                descriptors.extend(received);
            }
        }
        self.inbox.push(bytes.get(..count).unwrap_or_default()).map_err(io::Error::other)?;
        Ok(count > 0)
    }

    /// The next message, once it is whole.
    pub(super) fn message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Nonsense> {
        self.inbox.take()
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
