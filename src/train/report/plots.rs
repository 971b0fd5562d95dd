//! Plots of a report, as SVG inside of HTML.
//!
//! In: scores and curves. Out: `<svg>` elements with a title and a description. Ink has the colour
//! of the text around it, so that plots are readable on light and on dark; lines differ by dashes
//! and marks, too, so that they are in grey.

use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Rectangle, Text, TriangleMarker};
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::html::escaped;
use crate::train::score::{Bin, Confusion, PrecisionRecall, Threshold};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// What becomes the colour of the text around a plot.
const INK: RGBColor = RGBColor(0, 0, 0);
const WHITE: RGBColor = RGBColor(255, 255, 255);
const GREY: RGBColor = RGBColor(128, 128, 128);
/// Dark enough on white, and light enough on black.
const BLUE: RGBColor = RGBColor(0x2a, 0x78, 0xc8);
const ORANGE: RGBColor = RGBColor(0xd0, 0x6a, 0x10);
/// Of full cells; white numbers are readable on it.
const DEEP_BLUE: RGBColor = RGBColor(0x1f, 0x4e, 0x8c);
const FONT: &str = "sans-serif";
/// Plotters writes sizes by the height of a line, 1.24 times that of its letters.
const LETTERS_13: f64 = 16.0;

/// A plot of `size`, or nothing where it could not be drawn.
fn plot(
    size: (u32, u32),
    title: &str,
    about: &str,
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> String {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area).and_then(|()| area.present())
    };
    if drawn.is_err() {
        return String::new();
    }
    let head =
        format!("role=\"img\"><title>{}</title><desc>{}</desc>", escaped(title), escaped(about));
    // Texts are escaped, so that quotes are those of attributes.
    svg.replacen('>', &format!(" {head}"), 1).replace("\"#000000\"", "\"currentColor\"")
}

fn text(size: f64, colour: RGBColor, pos: Pos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour).pos(pos)
}

/// The first characters of a name that is too long for its place.
fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Which classes are taken for which: a cell a pair, shaded by its share of the row.
pub(super) fn confusion(confusion: &Confusion, classes: &[String]) -> Option<String> {
    const LONGEST: usize = 24;
    let matrix = confusion.matrix.as_ref()?;
    let count = i32::try_from(matrix.len()).ok().filter(|&count| count > 1)?;
    let cell = (640 / count).clamp(18, 64);
    let letters = (cell * 2 / 5).clamp(9, 14);
    let longest = classes.iter().map(|class| class.chars().count()).max()?.min(LONGEST);
    // Letters are some 0.6 of their size wide.
    let beside = i32::try_from(longest).ok()? * letters * 6 / 10 + 34;
    let side = cell * count;
    let (width, height) = (beside + side + 8, side + beside + 8);
    let size = (width.cast_unsigned(), height.cast_unsigned());
    let about = "A row for what a recording is, a column for what was said; the table below lists \
                 the pairs that are confused.";
    let font = f64::from(letters) * 1.24;
    let drawn = plot(size, "Confusion matrix", about, |area| {
        let (right, centre) = (HPos::Right, VPos::Center);
        let frame = ShapeStyle { color: GREY.mix(0.5), filled: false, stroke_width: 1 };
        for (row, counts) in (0..).zip(matrix) {
            let all: u64 = counts.iter().sum();
            let top = 4 + row * cell;
            for (column, &count) in (0..).zip(counts) {
                let left = beside + column * cell;
                let corners = [(left, top), (left + cell, top + cell)];
                let share = count as f64 / all.max(1) as f64;
                if count > 0 {
                    // Even one in a thousand should show.
                    let shade = DEEP_BLUE.mix(0.08 + 0.92 * share).filled();
                    area.draw(&Rectangle::new(corners, shade))?;
                    let colour = if share > 0.65 { WHITE } else { INK };
                    let style = text(font, colour, Pos::new(HPos::Center, centre));
                    let middle = (left + cell / 2, top + cell / 2);
                    area.draw(&Text::new(count.to_string(), middle, style))?;
                }
                area.draw(&Rectangle::new(corners, frame))?;
            }
        }
        for (at, class) in (0..).zip(classes) {
            let name = shortened(class, LONGEST);
            let middle = at * cell + cell / 2;
            let style = text(font, INK, Pos::new(right, centre));
            area.draw(&Text::new(name.clone(), (beside - 6, 4 + middle), style.clone()))?;
            let style = style.transform(FontTransform::Rotate270);
            area.draw(&Text::new(name, (beside + middle, side + 10), style))?;
        }
        let style = text(LETTERS_13, INK, Pos::new(HPos::Center, centre));
        let below = (beside + side / 2, height - 10);
        area.draw(&Text::new("what was said", below, style.clone()))?;
        let style = style.transform(FontTransform::Rotate270);
        area.draw(&Text::new("what it is", (10, 4 + side / 2), style))
    });
    Some(drawn).filter(|svg| !svg.is_empty())
}

/// Precision over recall of one class, the share that any order has, and where its threshold is.
pub(super) fn precision_recall(curve: &PrecisionRecall, threshold: Option<Threshold>) -> String {
    let title = format!("Precision over recall of {}", curve.class);
    // On the rows that are drawn, whether they chose it or not.
    let mark = threshold.and_then(|threshold| {
        let recall = threshold.recall.or(threshold.recall_elsewhere);
        recall.zip(threshold.precision.or(threshold.precision_elsewhere))
    });
    let about = match mark {
        Some((recall, precision)) => {
            format!("The triangle is the threshold: precision {precision:.2}, recall {recall:.2}.")
        }
        None if threshold.is_some() => "Its threshold says nothing here.".to_owned(),
        None => "No threshold has the wanted precision.".to_owned(),
    };
    // The precision of a step holds for all recalls since the one before.
    let mut steps = Vec::with_capacity(curve.points.len() * 2);
    let mut recall = 0.0;
    for &(next, precision) in &curve.points {
        steps.extend([(recall, precision), (next, precision)]);
        recall = next;
    }
    plot((230, 200), &title, &about, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .x_label_area_size(36)
            .y_label_area_size(42)
            .build_cartesian_2d(0.0..1.02, 0.0..1.02)?;
        let small = text(LETTERS_13 * 0.85, INK, Pos::default());
        chart
            .configure_mesh()
            .light_line_style(INK.mix(0.0))
            .bold_line_style(GREY.mix(0.3))
            .axis_style(GREY)
            .x_labels(3)
            .y_labels(3)
            .x_label_formatter(&|value| format!("{value:.1}"))
            .y_label_formatter(&|value| format!("{value:.1}"))
            .label_style(small.clone())
            .axis_desc_style(small)
            .x_desc("recall")
            .y_desc("precision")
            .draw()?;
        if let Some(share) = curve.share {
            let any_order = [(0.0, share), (1.0, share)];
            let style = GREY.stroke_width(1);
            chart.draw_series(DashedLineSeries::new(any_order, 4, 4, style))?;
        }
        chart.draw_series(LineSeries::new(steps, BLUE.stroke_width(2)))?;
        chart.draw_series(mark.map(|at| TriangleMarker::new(at, 6, ORANGE.filled())))?;
        Ok(())
    })
}

/// In what share of cases probabilities come true, before and after the temperature.
pub(super) fn reliability(before: &[Bin], after: &[Bin]) -> String {
    let about = "Circles on a dashed line: without the temperature; triangles on a solid line: with \
                 temperatures from other rows. On the diagonal probabilities come true as often \
                 as they say.";
    plot((440, 380), "Reliability of probabilities", about, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(24)
            .x_label_area_size(42)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..1.02, 0.0..1.02)?;
        let style = text(LETTERS_13, INK, Pos::default());
        chart
            .configure_mesh()
            .light_line_style(INK.mix(0.0))
            .bold_line_style(GREY.mix(0.3))
            .axis_style(GREY)
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|value| format!("{value:.1}"))
            .y_label_formatter(&|value| format!("{value:.1}"))
            .label_style(style.clone())
            .axis_desc_style(style)
            .x_desc("probability")
            .y_desc("share that is true")
            .draw()?;
        chart.draw_series([PathElement::new([(0.0, 0.0), (1.0, 1.0)], GREY.stroke_width(1))])?;
        let points = |bins: &[Bin]| -> Vec<(f64, f64)> {
            bins.iter().map(|bin| (bin.probability, bin.share)).collect()
        };
        let (before, after) = (points(before), points(after));
        let dashed = DashedLineSeries::new(before.clone(), 5, 4, ORANGE.stroke_width(2));
        chart.draw_series(dashed)?;
        chart.draw_series(before.iter().map(|&at| Circle::new(at, 4, ORANGE.stroke_width(2))))?;
        chart.draw_series(LineSeries::new(after.clone(), BLUE.stroke_width(2)))?;
        chart.draw_series(after.iter().map(|&at| TriangleMarker::new(at, 6, BLUE.filled())))?;
        Ok(())
    })
}

/// Numbers that were said over the true ones.
pub(super) fn numbers(name: &str, pairs: &[(f64, f64)]) -> Option<String> {
    let all = || pairs.iter().flat_map(|&(truth, said)| [truth, said]);
    let (low, high) =
        (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let room = (high - low) * 0.04;
    if !room.is_finite() || pairs.is_empty() {
        return None;
    }
    // Of a range without a width a plot has no axis.
    let room = if room > f64::EPSILON * high.abs() { room } else { high.abs().max(1.0) * 0.1 };
    let range = low - room..high + room;
    let about = "A dot a row; on the diagonal what was said is true.";
    let svg = plot((480, 420), &format!("{name}: said over true"), about, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(24)
            .x_label_area_size(42)
            .y_label_area_size(62)
            .build_cartesian_2d(range.clone(), range)?;
        let style = text(LETTERS_13, INK, Pos::default());
        let label = |value: &f64| super::numbers::tick(*value);
        chart
            .configure_mesh()
            .light_line_style(INK.mix(0.0))
            .bold_line_style(GREY.mix(0.3))
            .axis_style(GREY)
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&label)
            .y_label_formatter(&label)
            .label_style(style.clone())
            .axis_desc_style(style)
            .x_desc(format!("true {}", shortened(name, 40)))
            .y_desc(format!("said {}", shortened(name, 40)))
            .draw()?;
        chart.draw_series([PathElement::new([(low, low), (high, high)], GREY.stroke_width(1))])?;
        let dot = BLUE.mix(0.6).filled();
        chart.draw_series(pairs.iter().map(|&at| Circle::new(at, 3, dot)))?;
        Ok(())
    });
    Some(svg).filter(|svg| !svg.is_empty())
}
