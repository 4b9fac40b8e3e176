/**
 * A bar chart as SVG: panels of bars, each with a scale of its own. Readable on light and on dark pages,
 * without scripts or fonts from elsewhere, so that it shows wherever an image does.
 */

export interface Bar {
  readonly name: string
  readonly value: number
  /** The line through its end: how far the rounds are apart. */
  readonly least: number
  readonly most: number
  /** Beside its end. */
  readonly label: string
  readonly look: 'subject' | 'other' | 'limit'
}

export interface Panel {
  readonly title: string
  readonly bars: readonly Bar[]
}

const WIDTH = 820
const NAMES_WIDTH = 190
const LABELS_WIDTH = 230
const BARS_WIDTH = WIDTH - NAMES_WIDTH - LABELS_WIDTH
const BAR_HEIGHT = 16
const LINE_HEIGHT = 24
const TITLE_HEIGHT = 30
const PANEL_GAP = 10
const TOP = 8

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.label { font-size: 12px; fill: #59636e }
.subject { fill: #1a7f5a } .other { fill: #8c959f } .limit { fill: #c9a227; opacity: .6 }
.spread { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .label { fill: #9198a1 }
  .subject { fill: #3fb98a } .other { fill: #6e7681 }
  .spread { stroke: #e6edf3 }
}`.trim()

/**
 * The longest bar that is not a limit takes the whole width of its panel; one that would be longer is cut
 * off there, and its label tells.
 */
export function renderChart(title: string, panels: readonly Panel[]): string {
  const parts: string[] = []
  let top = TOP
  for (const panel of panels) {
    parts.push(text(0, top + 18, panel.title, 'title'))
    top += TITLE_HEIGHT
    const scale = scaleOf(panel.bars)
    for (const bar of panel.bars) {
      parts.push(...barAt(bar, top, scale))
      top += LINE_HEIGHT
    }
    top += PANEL_GAP
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}</style>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

function scaleOf(bars: readonly Bar[]): number {
  const shown = bars.filter(({ look }) => look !== 'limit')
  const longest = Math.max(0, ...(shown.length > 0 ? shown : bars).map(({ most }) => most))
  return longest > 0 ? BARS_WIDTH / longest : 0
}

function barAt(bar: Bar, top: number, scale: number): string[] {
  const lengthOf = (value: number): number => rounded(Math.min(value * scale, BARS_WIDTH))
  const isCut = bar.value * scale > BARS_WIDTH + 1
  const baseline = top + BAR_HEIGHT - 3
  const middle = top + BAR_HEIGHT / 2
  const parts = [
    text(NAMES_WIDTH - 8, baseline, bar.name, 'name', 'end'),
    `<rect class="${bar.look}" x="${NAMES_WIDTH}" y="${top}" width="${lengthOf(bar.value)}" height="${BAR_HEIGHT}" rx="2"/>`,
  ]
  if (!isCut && bar.most > bar.least) {
    const [from, to] = [bar.least, bar.most].map((value) => NAMES_WIDTH + lengthOf(value))
    parts.push(
      `<line class="spread" x1="${rounded(from ?? 0)}" x2="${rounded(to ?? 0)}" y1="${middle}" y2="${middle}"/>`,
    )
  }
  const end = NAMES_WIDTH + Math.max(lengthOf(bar.value), isCut ? 0 : lengthOf(bar.most))
  parts.push(text(rounded(end + 8), baseline, isCut ? `» ${bar.label}` : bar.label, 'label'))
  return parts
}

function text(x: number, y: number, words: string, look: string, anchor = 'start'): string {
  const at = anchor === 'start' ? '' : ` text-anchor="${anchor}"`
  return `<text class="${look}" x="${x}" y="${y}"${at}>${escaped(words)}</text>`
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
