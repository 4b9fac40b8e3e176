/**
 * `npm run soak`: a node under everything it does at once, and what it uses of its machine meanwhile.
 *
 *   npm run soak -- [--minutes 3] [--children 2] [--most 3] [--keys 60000] [--seed …] [--json file]
 *
 * It grows from `children` to `most` and back all the time. Ends with 1 if memory, descriptors or files
 * grow, or if a call failed. An hour: --minutes 60. Files of trees are held against what is kept in them, so
 * that has to be much more than what is applied at a time: some MiB for each shard.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createClient } from '@kv/client'
import { NodeProcess } from '../scene/node-process.js'
import { httpOf } from '../scene/readiness.js'
import { SoakLoad } from './load.js'
import type { Usage } from './usage.js'
import { usageOf } from './usage.js'
import type { Verdict } from './verdict.js'
import { judge } from './verdict.js'

const SAMPLES = 60
const MEBIBYTE = 1_048_576

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    children: { type: 'string', default: '2' },
    most: { type: 'string', default: '3' },
    keys: { type: 'string', default: '60000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
    json: { type: 'string' },
  },
})
const directory = await mkdtemp(join(tmpdir(), 'kv-soak-'))
const children = Number(values.children)
const node = await NodeProcess.start({ directory, children })
try {
  await using client = createClient({ url: node.url, timeout: 60_000 })
  const load = new SoakLoad(client, { keys: Number(values.keys), seed: Number(values.seed) })
  const most = Number(values.most)
  // Those that stay: scaling down ends the ones that came last.
  const pids = [node.pid, ...node.childPids()]
  await load.begin(httpOf(node.url), most > children ? [children, most] : [])
  const samples = await sample(load, pids)
  await load.end()
  const verdict = judge(samples)
  report(load, samples, verdict)
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify({ verdict, samples }))
  process.exitCode = verdict.findings.length + load.failures.length === 0 ? 0 : 1
} finally {
  await node.terminate()
  await rm(directory, { recursive: true, force: true })
}

async function sample(load: SoakLoad, pids: readonly number[]): Promise<Usage[]> {
  const samples: Usage[] = []
  const everyMs = (Number(values.minutes) * 60_000) / SAMPLES
  for (let count = 0; count < SAMPLES; count += 1) {
    await delay(everyMs)
    samples.push(await usageOf(node, pids, load.liveBytes))
  }
  return samples
}

function report(load: SoakLoad, samples: readonly Usage[], verdict: Verdict): void {
  const [first, last] = [samples[0] as Usage, samples.at(-1) as Usage]
  const range = (of: 'ownBytes' | 'stateBytes' | 'logBytes' | 'liveBytes'): string =>
    `${Math.round(first[of] / MEBIBYTE)} → ${Math.round(last[of] / MEBIBYTE)} MiB`
  const lines = [
    `${values.minutes} min, seed ${values.seed}: ${load.calls} calls, ${load.watched} events, ${load.scales} scales`,
    `memory ${range('ownBytes')}; after the warm-up ${(verdict.growthBytes / MEBIBYTE).toFixed(1)} MiB more, ` +
      `${(verdict.slopeBytesPerHour / MEBIBYTE).toFixed(1)} MiB an hour`,
    `live ${range('liveBytes')}; trees ${range('stateBytes')}, ${verdict.statePerLive.toFixed(2)} times; logs ${range('logBytes')}`,
    `descriptors ${first.descriptors} → ${last.descriptors}`,
    ...load.failures.map((failure) => `FAILED ${failure}`),
    ...verdict.findings.map((finding) => `FOUND ${finding}`),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
