//! Boot scripts, by HTTP or TFTP, for the machine that holds the lease of the client's address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory_api::Mac;
use inventory_api::boot::{BootArgs, BootEventKind, BootTarget, Choice};
use netboot_protocol::menu::{
    grub_menu, grub_refusal_script, held_script, ipxe_menu, memory_test_script, refusal_script,
};
use netboot_protocol::{
    BootUrls, Menu, Network, autoexec_script, grub_local_disk_script, grub_mini_os_script, local_disk_script,
    mini_os_script, narrowed,
};
use parking_lot::Mutex;

use crate::now;
use crate::shared::Shared;
use crate::source::{BootClient, BootInstruction, BootSource};

/// The program that reads the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Ipxe,
    Grub,
    /// Just the words of the kernel command line, for a mini-os whose own command line is signed.
    Words,
}

/// A script, and whether it is the last thing the machine fetches: iPXE starts the disk or kernel at once and
/// never acknowledges what it fetched just before.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) last: bool,
}

impl From<String> for Script {
    fn from(text: String) -> Script {
        Script { text, last: false }
    }
}

/// Why there is no script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoScript {
    /// The machine is to be left alone.
    Ignored,
    /// The client's address does not hold the lease of the machine it names.
    NotTheHolder,
    /// The request came over IPv6. A ticket is bound to the mini-os's IPv4 address.
    ByIpv6,
    /// The machine boots its own disk; the mini-os that asks cannot do that.
    OwnDisk,
    /// The script cannot be written; see the log.
    Broken,
    /// An internal error; see the log.
    Unavailable,
}

/// How long a script whose length was asked for waits to be fetched. GRUB does both at once.
const ANNOUNCED: Duration = Duration::from_secs(30);

/// How long the words of a menu choice wait for the agent in the signed mini-os: it must load drivers and get
/// an address, perhaps on a slow NIC.
const CHOSEN: Duration = Duration::from_secs(300);

/// Includes the MAC: another machine may have got the address meanwhile.
type Addressee = (Ipv4Addr, Mac, Option<Choice>);

/// One-shot texts waiting to be fetched: at most one per machine and choice, and only for lease holders.
#[derive(Default)]
pub(crate) struct Announced {
    /// GRUB scripts whose length was asked for.
    scripts: Waiting<Addressee, Script>,
    /// The words of a menu choice whose iPXE script may start the site's signed mini-os: its command line
    /// lacks them.
    words: Waiting<Mac, String>,
}

/// One-shot texts by owner, with an expiry.
struct Waiting<K, T>(Mutex<HashMap<K, (Instant, T)>>);

impl<K, T> Default for Waiting<K, T> {
    fn default() -> Waiting<K, T> {
        Waiting(Mutex::default())
    }
}

impl<K: Eq + Hash, T> Waiting<K, T> {
    /// The text and when it was made, if that is less than `at_most` ago.
    fn take(&self, whose: &K, at_most: Duration) -> Option<(Instant, T)> {
        let mut waiting = self.0.lock();
        waiting.retain(|_, (made, _)| made.elapsed() < at_most);
        waiting.remove(whose)
    }

    fn put(&self, whose: K, made: Instant, text: T) {
        self.0.lock().insert(whose, (made, text));
    }
}

/// Makes scripts for the networks behind one of our addresses.
pub(crate) struct Scripts<S> {
    pub(crate) networks: Vec<Network>,
    pub(crate) http_port: u16,
    pub(crate) announced: Announced,
    pub(crate) shared: Arc<Shared<S>>,
}

impl<S: BootSource> Scripts<S> {
    /// The machine at `peer`: the lease holder, or in test mode the MAC it claims.
    pub(crate) fn machine_at(&self, peer: IpAddr, says: Option<Mac>) -> Option<(Option<&Network>, Mac)> {
        let at = now();
        let by_lease = self.networks.iter().find_map(|network| {
            let holder = match peer {
                IpAddr::V4(peer) => self.shared.leases.holder(network.name(), peer, at),
                IpAddr::V6(peer) => self.shared.leases6.holder(network.name(), peer, at),
            };
            Some((Some(network), holder?))
        });
        by_lease.or_else(|| Some((None, says.filter(|_| self.trusts_any_source())?)))
    }

    /// The script that newer iPXE at `peer` runs first.
    pub(crate) fn autoexec(&self, peer: IpAddr) -> String {
        let by_lease = self.machine_at(peer, None).and_then(|(network, _)| network);
        let here = |network: &&Network| match peer {
            IpAddr::V4(peer) => network.subnet().contains(&peer),
            // It goes on over IPv4, as scripts are served over IPv4 only.
            IpAddr::V6(_) => false,
        };
        let network = by_lease
            .or_else(|| self.networks.iter().find(here))
            .unwrap_or(&self.networks[0]);
        autoexec_script(&self.urls(network))
    }

    /// Test mode: simulated machines share one address and may fetch without DHCP.
    fn trusts_any_source(&self) -> bool {
        self.shared.config.reply_to_source
    }

    fn urls(&self, network: &Network) -> BootUrls {
        BootUrls {
            server: network.server(),
            http_port: self.http_port,
        }
    }

    /// The GRUB script for `peer`, or for a choice in its menu. `only_length`: GRUB first asks for the length
    /// (HEAD), and must then get that very script, so it is made only once.
    pub(crate) async fn for_grub(
        &self,
        peer: IpAddr,
        choice: Option<Choice>,
        only_length: bool,
    ) -> Result<Script, NoScript> {
        let IpAddr::V4(v4) = peer else {
            return Err(NoScript::ByIpv6);
        };
        let (_, mac) = self.machine_at(peer, None).ok_or(NoScript::NotTheHolder)?;
        let whose = (v4, mac, choice);
        let (made, script) = match self.announced.scripts.take(&whose, ANNOUNCED) {
            Some(waiting) => waiting,
            None => {
                let script = self.make(peer, Some(mac), choice, Language::Grub).await?;
                (Instant::now(), script)
            }
        };
        if only_length {
            // Keep its original time, so that repeated requests get a fresh decision eventually.
            self.announced.scripts.put(whose, made, script.clone());
        }
        Ok(script)
    }

    /// The script for the machine at `peer`, or for what a person there chose. If the client claims a MAC, it
    /// must be the lease holder's.
    pub(crate) async fn make(
        &self,
        peer: IpAddr,
        says: Option<Mac>,
        choice: Option<Choice>,
        language: Language,
    ) -> Result<Script, NoScript> {
        let (client, network) = self.client(peer, says)?;
        let mac = client.mac;
        // Left from an earlier boot, unless this boot's agent asks for it.
        let chosen = self.announced.words.take(&mac, CHOSEN);
        if let (Some((_, words)), Language::Words) = (chosen, language) {
            return Ok(words.into());
        }
        let urls = self.urls(network);
        let Shared { source, config, .. } = &*self.shared;
        let here = narrowed(&config.kernel_args, &network.settings().kernel_args);
        let kernel_args = narrowed(&here, &source.kernel_args(&client).await);
        let order = self.order(&client, choice, language).await;
        if let BootInstruction::MiniOs(args) = &order
            && choice.is_some()
            && language == Language::Ipxe
            && self.shared.files.trusted().unified
        {
            self.announced.words.put(mac, Instant::now(), words_of(args));
        }
        let (text, target) = self.text(order, language, &urls, mac, &kernel_args)?;
        let Some(target) = target else {
            return Ok(text.into());
        };
        let text = match choice {
            Some(_) => text,
            None => {
                let menu = source.menu(&client).await;
                self.with_menu(text, menu, target, language, &urls, mac)
            }
        };
        let what = BootEventKind::Script { target };
        self.shared.record(mac, Some(peer), Some(client.network), what);
        let last = target == BootTarget::LocalDisk;
        Ok(Script { text, last })
    }

    /// The client at `peer`, and its network.
    fn client(&self, peer: IpAddr, says: Option<Mac>) -> Result<(BootClient, &Network), NoScript> {
        let IpAddr::V4(v4) = peer else {
            return Err(NoScript::ByIpv6);
        };
        let (network, mac) = self.machine_at(peer, says).ok_or(NoScript::NotTheHolder)?;
        let (network, mac) = match says {
            Some(said) if said != mac && self.trusts_any_source() => (None, said),
            Some(said) if said != mac => return Err(NoScript::NotTheHolder),
            _ => (network, mac),
        };
        // Without a lease (test mode): the network with a lease for this MAC, else the first.
        let at = now();
        let leased = |n: &&Network| self.shared.leases.address_of(n.name(), mac, at).is_some();
        let network = network
            .or_else(|| self.networks.iter().find(leased))
            .unwrap_or(&self.networks[0]);
        let asked = self.shared.firmware.of(mac);
        let client = BootClient {
            mac,
            ip: Some(v4),
            network: network.name().to_owned(),
            server: network.server(),
            firmware_asked: asked.or(self.trusts_any_source().then_some(at)),
        };
        Ok((client, network))
    }

    /// What the script should do.
    async fn order(
        &self,
        client: &BootClient,
        choice: Option<Choice>,
        language: Language,
    ) -> BootInstruction {
        let Shared { files, source, .. } = &*self.shared;
        match choice {
            Some(choice) if !files.can(choice) => {
                BootInstruction::Refused("the server has no files for this choice".to_owned())
            }
            // Nothing unsigned may start from the signed chain.
            Some(Choice::MemoryTest) if language == Language::Grub => {
                BootInstruction::Refused("the memory test is not signed".to_owned())
            }
            Some(choice) => source.chosen(client, choice).await,
            None => source.script(client).await,
        }
    }

    /// The script in its language. `None`: it boots nothing, so it gets no menu and is not recorded.
    fn text(
        &self,
        order: BootInstruction,
        language: Language,
        urls: &BootUrls,
        mac: Mac,
        kernel_args: &[String],
    ) -> Result<(String, Option<BootTarget>), NoScript> {
        let text = match (order, language) {
            (BootInstruction::Ignore, _) => return Err(NoScript::Ignored),
            (BootInstruction::Failed, _) => return Err(NoScript::Unavailable),
            (BootInstruction::Held(why), Language::Ipxe) => held_script(urls, mac, &why),
            (BootInstruction::Refused(why), Language::Ipxe) => refusal_script(urls, mac, &why),
            (BootInstruction::Held(why) | BootInstruction::Refused(why), Language::Grub) => {
                grub_refusal_script(&why)
            }
            (BootInstruction::Held(_) | BootInstruction::Refused(_), Language::Words) => {
                return Err(NoScript::Ignored);
            }
            (BootInstruction::MemoryTest, _) => memory_test_script(urls, mac, kernel_args),
            (BootInstruction::LocalDisk, language) => {
                let text = match language {
                    Language::Ipxe => local_disk_script(mac),
                    Language::Grub => grub_local_disk_script(mac),
                    Language::Words => return Err(NoScript::OwnDisk),
                };
                return Ok((text, Some(BootTarget::LocalDisk)));
            }
            (BootInstruction::MiniOs(args), language) => {
                let text = match language {
                    Language::Ipxe => mini_os_script(urls, &args, kernel_args, self.shared.files.trusted()),
                    Language::Grub => grub_mini_os_script(&args, kernel_args),
                    Language::Words => Ok(words_of(&args)),
                };
                let text = text.map_err(|error| {
                    tracing::error!(%mac, %error, "cannot make a boot script");
                    NoScript::Broken
                })?;
                let purpose = args.purpose;
                return Ok((text, Some(BootTarget::MiniOs { purpose })));
            }
        };
        Ok((text, None))
    }

    fn with_menu(
        &self,
        text: String,
        menu: Option<Menu>,
        target: BootTarget,
        language: Language,
        urls: &BootUrls,
        mac: Mac,
    ) -> String {
        let Some(mut menu) = menu else { return text };
        menu.choices.retain(|choice| self.shared.files.can(*choice));
        let decided = match target {
            BootTarget::MiniOs { purpose } => format!("mini-os ({purpose})"),
            BootTarget::LocalDisk | BootTarget::Ignore => "local disk".to_owned(),
        };
        match language {
            Language::Ipxe => ipxe_menu(&text, &menu, urls, mac, &decided),
            Language::Grub => grub_menu(&text, &menu, &decided),
            // Read by an agent, not by a person.
            Language::Words => text,
        }
    }
}

/// What the agent in the signed mini-os reads instead of a command line.
fn words_of(args: &BootArgs) -> String {
    args.to_words().join(" ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_script_is_given_once_and_only_to_its_machine() {
        let ip = Ipv4Addr::new(10, 0, 0, 9);
        let (one, other) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let announced = Waiting::default();
        let made = Instant::now();
        announced.put((ip, one, None), made, "ticket".to_owned());
        assert_eq!(
            announced.take(&(ip, other, None), ANNOUNCED),
            None,
            "it holds the address now"
        );
        assert_eq!(announced.take(&(ip, one, Some(Choice::Rescue)), ANNOUNCED), None);
        assert_eq!(
            announced.take(&(ip, one, None), ANNOUNCED),
            Some((made, "ticket".to_owned()))
        );
        assert_eq!(announced.take(&(ip, one, None), ANNOUNCED), None);
        if let Some(made) = made.checked_sub(ANNOUNCED) {
            announced.put((ip, one, None), made, "old".to_owned());
            assert_eq!(
                announced.take(&(ip, one, None), ANNOUNCED),
                None,
                "the decision may have changed"
            );
        }
    }
}
