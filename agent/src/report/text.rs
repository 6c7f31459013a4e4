//! The report for people: `slipway-agent report`.

use inventory_api::report::AssetReport;

/// A page of plain text, one fact a line.
pub fn render_text(report: &AssetReport) -> String {
    let mut page = Page(String::new());
    page.line("Kernel", report.boot.kernel.as_deref());
    for problem in &report.problems {
        page.line(
            "Problem",
            Some(&format!("{}: {}", problem.collector, problem.detail)),
        );
    }
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.0.push_str(&format!("{name:<14}{value}\n"));
        }
    }
}
