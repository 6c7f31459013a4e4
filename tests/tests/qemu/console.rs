//! A person at the machine's keyboard: the boot menu, the rescue system, the memory test.

use std::time::Duration;

use e2e::boot_path::KERNEL_WITHIN;
use e2e::{Firmware, Level, run};
use inventory_api::boot::{BootEvent, BootEventKind, BootTarget};
use inventory_api::machine::HistoryEntry;

use crate::rescue::{password, use_shell, with_menu};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn vm_a_person_chooses_rescue_with_its_password_and_then_the_memory_test() {
    if Level::Qemu.runs() {
        run(async {
            let mut path = with_menu("console", Firmware::Bios).start().await.unwrap();
            let api = path.server.api().unwrap();
            path.vm.power_on().unwrap();
            path.vm.wait_screen("press m within 60 s", SOON).await.unwrap();
            path.vm.press("m").unwrap();
            path.vm.wait_screen("Rescue: a shell", SOON).await.unwrap();
            path.vm.press("r").unwrap();

            let made = password(&mut path).await;
            let id = &made.machine;
            path.vm.type_line("let me in").unwrap();
            path.vm.wait_console("wrong password", SOON).await.unwrap();
            assert!(
                !path.vm.console().contains("let me in"),
                "a password is not shown"
            );
            // The prompt returns after a second.
            e2e::wait::until("the second prompt", SOON, async || {
                Ok((path.vm.console().matches("Password: ").count() == 2).then_some(()))
            })
            .await
            .unwrap();
            use_shell(&mut path, &made.password).await;

            // Wait for its next script: until then the old words may still be in the screen's memory.
            e2e::wait::until("the second boot's script", KERNEL_WITHIN, async || {
                let told = |e: &&BootEvent| {
                    matches!(
                        e.what,
                        BootEventKind::Script {
                            target: BootTarget::LocalDisk
                        }
                    )
                };
                Ok((path.journey().await?.events.iter().filter(told).count() == 2).then_some(()))
            })
            .await
            .unwrap();
            path.vm.wait_screen("press m within 60 s", SOON).await.unwrap();
            let history: Vec<HistoryEntry> = api.history(id.as_str()).await.unwrap();
            let said: Vec<&str> = history.iter().map(|row| row.sentence.as_str()).collect();
            assert!(said.contains(&"Rescue ended: the shell was left."), "{said:?}");
            assert!(history.iter().all(|row| row.state == "new"), "{history:?}");
            path.vm.press("m").unwrap();
            path.vm.wait_screen("Memory test", SOON).await.unwrap();
            path.vm.press("t").unwrap();
            path.vm.wait_screen("Memtest86+ v6", SOON).await.unwrap();
        });
    }
}
