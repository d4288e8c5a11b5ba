//! Line charts as SVG, readable on light and dark pages.

use std::fmt::Write as _;

/// A chart of lines. What is measured goes up on a logarithmic scale.
#[derive(Debug)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What goes to the right, and on which scale.
    pub across: (&'static str, Scale),
    /// What goes up, as in `ms`.
    pub unit: &'static str,
    /// One for each thing that is compared.
    pub lines: Vec<Line>,
}

/// What goes to the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From 0 to 100, in percent.
    Percent,
    /// Numbers of services, each ten times the one before.
    Sizes,
    /// From 0 to a number of times something.
    Times(u8),
}

/// A line of a chart.
#[derive(Debug)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// Dashes are for what the others are compared with.
    pub is_dashed: bool,
    /// How far to the right, and how much up; none for what was not measured.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 600.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 360.0;
/// How far apart the names of lines are at least.
const SPACING: f64 = 16.0;
/// Apart from each other for most eyes, on white and on black.
const COLOURS: [&str; 7] = ["#2f81f7", "#d9730d", "#2da44e", "#a371f7", "#cf4f7b", "#8a8f98", "#b08800"];
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-size:15px;font-weight:600}\
                     .grid{stroke:#8c959f;stroke-opacity:.3}.line{fill:none;stroke-width:2.2}\
                     @media(prefers-color-scheme:dark){text{fill:#b1bac4}}";

impl Chart {
    /// The chart as a file.
    pub fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n<text class=\"title\" x=\"{LEFT}\" y=\"24\">{title}</text>\n",
            title = escaped(&self.title)
        );
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (low, high) = decades(points().map(|(_, amount)| *amount));
        for decade in low..=high {
            let (amount, y) = (10_f64.powi(decade), height(10_f64.powi(decade), low, high));
            grid(&mut svg, (LEFT, y), (RIGHT, y));
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{amount} {}</text>",
                LEFT - 8.0,
                y + 4.0,
                self.unit
            );
        }
        let (label, scale) = self.across;
        let (first, last) = match scale {
            Scale::Percent => (0.0, 100.0),
            Scale::Times(most) => (0.0, f64::from(most)),
            Scale::Sizes => {
                let (low, high) = decades(points().map(|(size, _)| *size));
                (f64::from(low), f64::from(high))
            }
        };
        let x = |place: f64| {
            let place = if scale == Scale::Sizes { place.log10() } else { place };
            LEFT + (RIGHT - LEFT) * (place - first) / (last - first).max(f64::EPSILON)
        };
        for (place, text) in ticks(scale, first, last) {
            grid(&mut svg, (x(place), TOP), (x(place), BOTTOM));
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                x(place),
                BOTTOM + 20.0
            );
        }
        let middle = f64::midpoint(LEFT, RIGHT);
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            BOTTOM + 44.0
        );
        for ((line, colour), name_y) in
            self.lines.iter().zip(COLOURS.iter().cycle()).zip(self.names(low, high))
        {
            let path: Vec<String> = line
                .points
                .iter()
                .map(|(place, time)| format!("{:.1},{:.1}", x(*place), height(*time, low, high)))
                .collect();
            let dashes = if line.is_dashed { " stroke-dasharray=\"6 4\"" } else { "" };
            let _ = writeln!(
                svg,
                "<polyline class=\"line\" stroke=\"{colour}\"{dashes} points=\"{}\"/>",
                path.join(" ")
            );
            for point in &path {
                let (x, y) = point.split_once(',').unwrap_or_default();
                let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>");
            }
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" style=\"fill:{colour}\">{}</text>",
                RIGHT + 12.0,
                name_y + 4.0,
                escaped(&line.name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// How far down each line's name stands: beside the line's end, or as near to it as the other names let it.
    fn names(&self, low: i32, high: i32) -> Vec<f64> {
        let ends = self
            .lines
            .iter()
            .map(|line| line.points.last().map_or(BOTTOM, |(_, time)| height(*time, low, high)));
        let mut ends: Vec<(usize, f64)> = ends.enumerate().collect();
        ends.sort_by(|left, right| left.1.total_cmp(&right.1));
        let mut free = TOP;
        for (_, y) in &mut ends {
            *y = y.max(free);
            free = *y + SPACING;
        }
        // What went over the edge moves up again, and pushes the others.
        let mut most = BOTTOM;
        for (_, y) in ends.iter_mut().rev() {
            *y = y.min(most);
            most = *y - SPACING;
        }
        ends.sort_by_key(|(line, _)| *line);
        ends.into_iter().map(|(_, y)| y).collect()
    }
}

/// The powers of ten around some numbers.
fn decades(numbers: impl Iterator<Item = f64>) -> (i32, i32) {
    let (least, most) = numbers
        .filter(|number| *number > 0.0)
        .fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), number| (least.min(number), most.max(number)));
    if least > most {
        return (0, 1);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a power of ten of a time or a size is a small number"
    )]
    let (low, high) = (least.log10().floor() as i32, most.log10().ceil() as i32);
    (low, high.max(low + 1))
}

fn height(time: f64, low: i32, high: i32) -> f64 {
    let share = (time.max(1e-9).log10() - f64::from(low)) / f64::from(high - low);
    BOTTOM - (BOTTOM - TOP) * share
}

fn ticks(scale: Scale, first: f64, last: f64) -> Vec<(f64, String)> {
    match scale {
        Scale::Percent => [0.0, 25.0, 50.0, 75.0, 100.0].map(|place| (place, format!("{place} %"))).into(),
        Scale::Times(most) => (0..=most).map(|place| (f64::from(place), format!("{place} ×"))).collect(),
        Scale::Sizes => {
            let mut ticks = Vec::new();
            let mut decade = first;
            while decade <= last {
                let size = 10_f64.powf(decade);
                ticks.push((
                    size,
                    if size >= 1e6 { format!("{} M", size / 1e6) } else { format!("{} k", size / 1e3) },
                ));
                decade += 1.0;
            }
            ticks
        }
    }
}

fn grid(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ =
        writeln!(svg, "<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lines_do_not_stand_on_each_other() {
        let line = |time: f64| Line {
            name: "a <b>".into(),
            is_dashed: false,
            points: vec![(0.0, 1.0), (100.0, time)],
        };
        let chart = Chart {
            title: "A & B".into(),
            across: ("depth", Scale::Percent),
            unit: "ms",
            lines: vec![line(0.1), line(1.0), line(0.1), line(0.11), line(100.0)],
        };
        let mut names = chart.names(-1, 2);
        assert!(names.iter().all(|y| (TOP..=BOTTOM).contains(y)), "{names:?}");
        names.sort_by(f64::total_cmp);
        assert!(names.windows(2).all(|pair| pair[1] - pair[0] >= SPACING), "{names:?}");
        let svg = chart.svg();
        assert!(svg.contains("A &amp; B") && svg.contains("a &lt;b&gt;"));
        assert_eq!(svg.matches("<polyline").count(), 5);
    }
}
