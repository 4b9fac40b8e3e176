/** Text in columns: how wide it is in a terminal, how it is filled up and cut, and tables of it. */

export type Alignment = 'left' | 'right'

const GAP = '  '
const SEGMENTER = new Intl.Segmenter()
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/u

/** Columns the text takes; it must hold no escape sequences. */
export function widthOf(text: string): number {
  let width = 0
  for (const { segment } of SEGMENTER.segment(text)) width += WIDE.test(segment) ? 2 : 1
  return width
}

export function pad(text: string, width: number, alignment: Alignment = 'left'): string {
  const filler = ' '.repeat(Math.max(0, width - widthOf(text)))
  return alignment === 'left' ? text + filler : filler + text
}

/** Cuts the text to the width; the last column then shows that something is missing. */
export function clip(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let cut = ''
  for (const { segment } of SEGMENTER.segment(text)) {
    if (widthOf(cut + segment) > width - 1) break
    cut += segment
  }
  return `${cut}…`
}

/** Rows of equal length as aligned lines; `alignments` are by column. */
export function table(
  rows: readonly (readonly string[])[],
  alignments: readonly Alignment[],
): string[] {
  const widths = alignments.map((_, column) =>
    Math.max(...rows.map((row) => widthOf(row[column] ?? ''))),
  )
  return rows.map((row) =>
    row
      .map((cell, column) => pad(cell, widths[column] ?? 0, alignments[column]))
      .join(GAP)
      .trimEnd(),
  )
}
