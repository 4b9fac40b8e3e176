/** What a node has of its machine: memory and descriptors by process, and what lies on disk. */
import { readdirSync, statSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { NodeProcess } from '../scene/node-process.js'
import { ownBytes } from '../scene/process-table.js'

export interface Usage {
  readonly atMs: number
  /** Memory, without mapped files, of its processes that lived from the first sample on. */
  readonly ownBytes: number
  readonly descriptors: number
  /** Trees of the shards. */
  readonly stateBytes: number
  /** Logs, prepared segments and journals. */
  readonly logBytes: number
  /** Keys and values that are there, by what was acknowledged. */
  readonly liveBytes: number
}

/** `pids` are those that are looked at: children that come and go would move the sums. */
export async function usageOf(
  node: NodeProcess,
  pids: readonly number[],
  liveBytes: number,
): Promise<Usage> {
  const sizes = { stateBytes: 0, logBytes: 0 }
  for (const name of await readdir(node.directory, { recursive: true })) {
    // What is gone meanwhile was a segment that is not needed any more.
    const size = await bytesOnDisk(join(node.directory, name))
    if (name.endsWith('.mdb')) sizes.stateBytes += size
    else if (/\/log\/|journal/.test(name)) sizes.logBytes += size
  }
  return {
    atMs: performance.now(),
    ownBytes: pids.reduce((sum, pid) => sum + ownBytes(pid), 0),
    descriptors: pids.reduce((sum, pid) => sum + descriptorsOf(pid), 0),
    ...sizes,
    liveBytes,
  }
}

async function bytesOnDisk(path: string): Promise<number> {
  try {
    const found = await stat(path)
    return found.isFile() ? found.size : 0
  } catch {
    return 0
  }
}

function descriptorsOf(pid: number): number {
  try {
    const directory = `/proc/${pid}/fd`
    statSync(directory)
    return readdirSync(directory).length
  } catch {
    return 0
  }
}
