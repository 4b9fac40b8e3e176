/**
 * `npm run soak`: a node under everything it does at once, and what it uses of its machine meanwhile.
 *
 * It grows from `children` to `most` and back all the time. An hour: --minutes 60. Files of trees are held against
 * what is kept in them, so that has to be much more than what is applied at a time: some MiB for each shard.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '@kv/client'
import { NodeProcess } from '../scene/node-process.js'
import { httpOf } from '../scene/readiness.js'
import { SoakLoad } from './load.js'
import type { SoakSettings } from './settings.js'
import { settingsFrom, USAGE } from './settings.js'
import type { Usage } from './usage.js'
import { usageOf } from './usage.js'
import type { Verdict } from './verdict.js'
import { judge } from './verdict.js'

const SAMPLES = 60
const MEBIBYTE = 1_048_576

const EXIT_USAGE = 2

const asked = settings()
if (asked === undefined) process.stdout.write(USAGE)
else await main(asked)

function settings(): SoakSettings | undefined {
  try {
    return settingsFrom(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`)
    process.exit(EXIT_USAGE)
  }
}

async function main({ children, most, keys, seed, minutes, json }: SoakSettings): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'kv-soak-'))
  const node = await NodeProcess.start({ directory, children })
  try {
    await using client = createClient({ url: node.url, timeout: 60_000 })
    const load = new SoakLoad(client, { keys, seed })
    // Those that stay: scaling down ends the ones that came last.
    const pids = [node.pid, ...node.childPids()]
    await load.begin(httpOf(node.url), most > children ? [children, most] : [])
    const samples = await sample(minutes, () => usageOf(node, pids, load.liveBytes))
    await load.end()
    const verdict = judge(samples)
    process.stdout.write(`${minutes} min, seed ${seed}: `)
    report(load, samples, verdict)
    if (json !== undefined) await writeFile(json, JSON.stringify({ verdict, samples }))
    process.exitCode = verdict.findings.length + load.failures.length === 0 ? 0 : 1
  } finally {
    await node.terminate()
    await rm(directory, { recursive: true, force: true })
  }
}

async function sample(minutes: number, usage: () => Promise<Usage>): Promise<Usage[]> {
  const samples: Usage[] = []
  const everyMs = (minutes * 60_000) / SAMPLES
  for (let count = 0; count < SAMPLES; count += 1) {
    await delay(everyMs)
    samples.push(await usage())
  }
  return samples
}

function report(load: SoakLoad, samples: readonly Usage[], verdict: Verdict): void {
  const [first, last] = [samples[0] as Usage, samples.at(-1) as Usage]
  const range = (of: 'ownBytes' | 'stateBytes' | 'logBytes' | 'liveBytes'): string =>
    `${Math.round(first[of] / MEBIBYTE)} → ${Math.round(last[of] / MEBIBYTE)} MiB`
  const lines = [
    `${load.calls} calls, ${load.watched} events, ${load.scales} scales`,
    `memory ${range('ownBytes')}; after the warm-up ${(verdict.growthBytes / MEBIBYTE).toFixed(1)} MiB more, ` +
      `${(verdict.slopeBytesPerHour / MEBIBYTE).toFixed(1)} MiB an hour`,
    `live ${range('liveBytes')}; trees ${range('stateBytes')}, ${verdict.statePerLive.toFixed(2)} times; logs ${range('logBytes')}`,
    `descriptors ${first.descriptors} → ${last.descriptors}`,
    ...load.failures.map((failure) => `FAILED ${failure}`),
    ...verdict.findings.map((finding) => `FOUND ${finding}`),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
