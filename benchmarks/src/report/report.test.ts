import { describe, expect, test } from 'vitest'
import type { ContenderName } from '../contender-names.js'
import type { Measurement } from '../loads/load.js'
import { loadOf } from '../plan.js'
import { CAUSES } from './causes.js'
import { renderChart } from './chart.js'
import type { CellFigures, Figures, PartFigures } from './figures.js'
import { withPart } from './figures.js'
import { renderMarkdown } from './markdown.js'
import { chartsOf } from './part-charts.js'
import { rowsOf } from './rows.js'
import { renderPart } from './table.js'
import { judge, TARGETS } from './targets.js'

function measured(callsPerSecond: number): Measurement {
  return {
    calls: 1_000,
    callsPerSecond,
    p50Ms: 1_000 / callsPerSecond,
    p99Ms: 2,
    maxMs: 3,
    clientMicrosPerCall: 1_000_000 / callsPerSecond,
  }
}

function cell(contender: ContenderName, rates: readonly number[]): CellFigures {
  return { contender, load: loadOf('get', 256), rounds: rates.map(measured) }
}

const CORE_PART: PartFigures = {
  part: 'core',
  at: '2026-01-02T03:04:05.000Z',
  seconds: 60,
  commit: 'abc1234567',
  rounds: 3,
  participants: [
    { contender: 'kv-direct', name: 'kv direct', settings: 'direct, 2 children' },
    { contender: 'redis-always', name: 'redis always', settings: 'appendonly yes' },
    { contender: 'map', name: 'Map', settings: 'in process' },
    { contender: 'etcd', name: 'etcd', absent: 'etcd is not installed' },
  ],
  cells: [
    cell('kv-direct', [390_000, 400_000, 420_000]),
    cell('redis-always', [100_000, 90_000, 110_000]),
    cell('map', [4_000_000, 4_000_000, 4_000_000]),
    { ...cell('nats', []), missing: 'failed: <gone> & away' },
  ],
  facts: [],
}

const RESTART_PART: PartFigures = {
  ...CORE_PART,
  part: 'restart',
  cells: [],
  facts: (
    [
      ['kv-direct', [3_000, 2_900, 3_100]],
      ['redis-always', [40_000]],
    ] as const
  ).map(([contender, values]) => ({
    contender,
    fact: 'ms until it answers after kill -9',
    keys: 10_000_000,
    values,
  })),
}

const FIGURES: Figures = {
  machine: {
    cores: 2,
    model: 'Some processor',
    memoryGiB: 8,
    system: 'Linux 6.1',
    nodeVersion: 'v20.20.0',
  },
  parts: [CORE_PART, RESTART_PART],
}

describe('rows', () => {
  test('ratios are those of medians, kv to the others', () => {
    const [kv, redis] = rowsOf(CORE_PART)
    expect(kv?.figures?.rateRatio).toBeUndefined()
    expect(redis?.figures).toMatchObject({
      callsPerSecond: { median: 100_000, least: 90_000, most: 110_000 },
      rateRatio: 4,
      cpuRatio: 0.25,
    })
  })
})

describe('targets', () => {
  test('reached and missed by the figures; what was not measured is neither', () => {
    const verdicts = new Map(judge(FIGURES).map((judged) => [judged.target.id, judged]))
    expect(verdicts.get('get-ioredis')).toMatchObject({ value: 4, verdict: 'reached' })
    expect(verdicts.get('cpu-get')).toMatchObject({ value: 0.25, verdict: 'reached' })
    expect(verdicts.get('restart')).toMatchObject({ value: 3_000, verdict: 'missed' })
    expect(verdicts.get('restart-redis')).toMatchObject({ value: 0.075, verdict: 'reached' })
    expect(verdicts.get('get-node-redis')).toMatchObject({ verdict: 'not measured' })
  })

  test('a cause is of a target that exists, and each target has one id', () => {
    const ids = TARGETS.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of Object.keys(CAUSES)) expect(ids).toContain(id)
  })
})

describe('figures', () => {
  test('a part that was measured again replaces the old one, and the others stay', () => {
    const { parts } = withPart(FIGURES, { ...CORE_PART, seconds: 1 })
    expect(parts.map(({ part, seconds }) => [part, seconds])).toEqual([
      ['restart', 60],
      ['core', 1],
    ])
  })
})

describe('charts', () => {
  test('are whole SVG, with words escaped, and need nothing from elsewhere', () => {
    const bar = { value: 2, least: 1, most: 3, label: '2 (1 < 3 & 4)', look: 'other' } as const
    const svg = renderChart('a & b', [{ title: '<get>', bars: [{ ...bar, name: 'kv' }] }])
    expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg"')).toBe(true)
    expect(svg).toContain('<title>a &amp; b</title>')
    expect(svg).toContain('&lt;get&gt;')
    expect(svg).toContain('2 (1 &lt; 3 &amp; 4)')
    expect(svg).toContain('prefers-color-scheme: dark')
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|@import|url\(/)
  })

  test('a limit is cut off rather than making all others too short to see', () => {
    const [chart] = chartsOf(CORE_PART)
    const widths = [
      ...(chart?.svg ?? '').matchAll(/class="(\w+)" x="\d+" y="\d+" width="([\d.]+)"/g),
    ]
    const widthOf = (look: string): number =>
      Number(widths.find(([, found]) => found === look)?.[2] ?? Number.NaN)
    expect(widthOf('limit')).toBe(400)
    expect(widthOf('subject')).toBeGreaterThan(350)
    expect(widthOf('other')).toBeLessThan(120)
    expect(chart?.svg).toContain('» 4,000,000')
  })

  test('a part in which nothing was measured has none', () => {
    expect(chartsOf({ ...CORE_PART, cells: [] })).toEqual([])
  })
})

describe('documents', () => {
  const text = renderMarkdown(FIGURES)

  test('say on what machine, with what settings, and who could not be measured', () => {
    expect(text).toContain('2 cores of Some processor, 8 GiB')
    expect(text).toContain('`abc1234567`')
    expect(text).toMatch(/\| redis always +\| appendonly yes/)
    expect(text).toContain('not measured: etcd is not installed')
    expect(text).toContain('failed: &lt;gone> & away')
  })

  test('have every ratio and the spread', () => {
    expect(text).toMatch(/\| redis always +\| +100,000 \| +90,000 – 110,000 \|.*4\.00 ×.*0\.25 ×/)
    expect(text).toMatch(/10 M keys +\| redis always +\| +40,000 \| +\| +13\.3 ×/)
  })

  test('name what is missed, with its cause or that there is none yet', () => {
    expect(text).toMatch(/kill -9 with 10 M keys, in ms +\| +≤ 2,000 +\| +3,000 \| +\*\*missed\*\*/)
    expect(text).toContain('- ready after kill -9 with 10 M keys, in ms: ')
  })

  test('show every chart that is written', () => {
    const shown = [...text.matchAll(/!\[[^\]]*\]\(benchmarks\/([^)]+)\)/g)].map(([, file]) => file)
    const written = FIGURES.parts.flatMap((part) => chartsOf(part)).map(({ file }) => file)
    expect(shown).toEqual(written)
    expect(new Set(written).size).toBe(written.length)
  })
})

describe('the table for the terminal', () => {
  test('has a line for each store, those that are absent with why', () => {
    const text = renderPart(CORE_PART)
    expect(text).toMatch(/get, 256 in flight +redis always +100,000 +90,000 +110,000 .* 4\.00 ×/)
    expect(text).toContain('etcd: etcd is not installed')
    expect(text).toContain('nats: failed: <gone> & away')
  })
})
