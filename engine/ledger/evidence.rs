//! Evidence that a leaf is in an agent's log: enough for a provider to check by itself what it was
//! charged for.
//!
//! ```text
//! leaf    what the owner's computer wrote down of the access
//! path    hashes from the leaf up to the root (RFC 6962 §2.1.1)
//! head    size and root, signed by the owner's computer
//! ```
//!
//! Who is shown two heads of one size with two roots, both signed, has caught their signer.
//!
//! Says nothing of whose key it is: see [`Evidence::key`].

use serde::{Deserialize, Serialize};

use crate::access::PublicKey;
use crate::ledger::checkpoint::{self, CheckpointError, agent_origin};
use crate::ledger::tree::{self, Head, TreeError, proof_text, read_proof};
use crate::store::hub::{HubStore, LogKind};
use crate::store::leaf::{AgentLeaf, read};

/// A leaf with the way to a signed head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Place of the leaf in the log, from 0.
    pub index: u64,
    /// The leaf as it is hashed.
    pub leaf: String,
    /// Hashes from the leaf to the root, base64url.
    pub path: Vec<String>,
    /// The signed head, a signed note.
    pub head: String,
    /// The key that signed it, base64url. Its thumbprint is the agent's id as long as the agent
    /// never changed its key; of any other key the owner has to be asked.
    pub key: String,
}

/// Why evidence proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The key is none.
    #[error("`{0}` is no key")]
    Key(String),
    /// The signed head.
    #[error(transparent)]
    Head(#[from] CheckpointError),
    /// The leaf is not below the head.
    #[error("the leaf is not in the log at that place")]
    Path,
    /// The leaf is in the log but says nothing that is known.
    #[error("the leaf is no leaf of a kind that is known here")]
    Leaf,
}

impl Evidence {
    /// Of a leaf in the mirror of an agent's log. `None` while nothing there is signed that far, or
    /// not by a key that the agent has or had.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn of(store: &dyn HubStore, agent_id: &str, index: u64) -> Result<Option<Self>, TreeError> {
        let log = LogKind::Agent;
        let Some(row) = store.checkpoint(agent_id, log)? else { return Ok(None) };
        let Some(leaf) = store.leaves(agent_id, log, index, index.saturating_add(1))?.pop() else {
            return Ok(None);
        };
        let origin = agent_origin(agent_id);
        let signs = |key: &String| {
            key.parse().is_ok_and(|key: PublicKey| checkpoint::verify(&row, &origin, &key).is_ok())
        };
        let Some(key) = store.agent_keys(agent_id)?.into_iter().find(signs) else {
            return Ok(None);
        };
        if index >= row.size {
            return Ok(None);
        }
        let path = tree::inclusion(index, row.size, |numbers| store.nodes(agent_id, log, numbers))?;
        Ok(Some(Self {
            index,
            // Every leaf that came over the channel is text.
            leaf: String::from_utf8_lossy(&leaf).into_owned(),
            path: path.iter().map(proof_text).collect(),
            head: row.note,
            key,
        }))
    }

    /// What the leaf says, and the head that it is proven to be under.
    ///
    /// - `key`: whom the caller takes for the agent
    ///
    /// # Errors
    /// See [`Doubt`].
    pub fn check(&self, agent_id: &str, key: &PublicKey) -> Result<(AgentLeaf, Head), Doubt> {
        let head = checkpoint::read(&self.head, &agent_origin(agent_id), key)?;
        let path = read_proof(&self.path).ok_or(Doubt::Path)?;
        if !head.includes(self.index, self.leaf.as_bytes(), &path) {
            return Err(Doubt::Path);
        }
        let leaf = read(self.leaf.as_bytes()).ok_or(Doubt::Leaf)?;
        Ok((leaf, head))
    }

    /// The key that is said to have signed the head.
    ///
    /// # Errors
    /// When it is none.
    pub fn signer(&self) -> Result<PublicKey, Doubt> {
        self.key.parse().map_err(|_no_key| Doubt::Key(self.key.clone()))
    }
}
