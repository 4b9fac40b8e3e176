/**
 * What the tests of the log share: a log on a simulated disk whose frames carry one text each, and
 * its frames as plain values that can be compared.
 */
import { FRAME_HEADER_BYTES, type FrameMeta, type LogFrame } from '../frame.js'
import { Log, type AppendOptions } from '../log.js'
import type { LogOptions, OpenLogOptions } from '../options.js'
import type { SimulatedDisk } from './simulated-disk.js'

export const DIRECTORY = '/volume/shard'

/** Small enough that a few frames fill a segment and that every byte of it can be tried. */
export const SMALL_SEGMENTS: Pick<LogOptions, 'segmentBytesMin' | 'segmentBytesMax'> = {
  segmentBytesMin: 4096 + 512,
  segmentBytesMax: 4096 + 512,
}

export function optionsOn(disk: SimulatedDisk, changes: Partial<LogOptions> = {}): LogOptions {
  return {
    directory: DIRECTORY,
    clusterId: 'cluster-1',
    shard: 7,
    fileSystem: disk.mount(),
    // By hand, not by time: tests decide when a preparation is tried again.
    schedule: () => () => undefined,
    ...SMALL_SEGMENTS,
    ...changes,
  }
}

export interface OpenedForTest {
  readonly log: Log
  readonly frames: readonly string[]
}

export async function openOn(
  disk: SimulatedDisk,
  changes: Partial<OpenLogOptions> = {},
): Promise<OpenedForTest> {
  const frames: string[] = []
  const onFrame = (frame: LogFrame): void => void frames.push(describe(frame))
  const log = await Log.open({ ...optionsOn(disk), replayAfter: 0, onFrame, ...changes })
  return { log, frames }
}

/** Appends one frame; by default of one revision, the next one, in the epoch of the log. */
export async function append(
  log: Log,
  text: string,
  changes: Partial<FrameMeta> & AppendOptions = {},
): Promise<string> {
  const { jump = false, ...meta } = changes
  const bodyBytes = Buffer.byteLength(text)
  const buffer = Buffer.alloc(FRAME_HEADER_BYTES + bodyBytes)
  buffer.write(text, FRAME_HEADER_BYTES)
  const full: FrameMeta = {
    epoch: Math.max(log.lastEpoch, 1),
    firstRevision: log.lastRevision + 1,
    count: 1,
    timeMs: 1_700_000_000_000,
    ...meta,
  }
  await log.append(buffer, bodyBytes, full, { jump })
  return describe({ ...full, body: buffer.subarray(FRAME_HEADER_BYTES) })
}

export function describe(frame: Pick<LogFrame, keyof FrameMeta | 'body'>): string {
  const { epoch, firstRevision, count, body } = frame
  return `${epoch}:${firstRevision}+${count} ${body.toString()}`
}

export async function framesFrom(log: Log, revision: number): Promise<string[]> {
  const frames: string[] = []
  for await (const frame of log.readFrom(revision)) frames.push(describe(frame))
  return frames
}

/** Work in the background has ended: the simulated disk answers within one turn of the event loop. */
export function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
