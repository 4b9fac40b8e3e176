/**
 * The real files of a process whose machine can lose its power: any of the sectors that were written and
 * not synced may then be as they were before. Of files that are open for writes which a sync makes
 * durable; what was written durably stays.
 */
import { nodeFileSystem, type LogFile, type LogFileSystem } from '../log/file-system.js'
import { readWhole, withFile, writeWhole } from '../log/whole-io.js'
import { KillableFileSystem } from './killable-file-system.js'

const SECTOR_BYTES = 512

/** What unsynced sectors of a file held when it was synced last. */
type Before = Map<number, Buffer>

export class PowerCutFiles extends KillableFileSystem {
  private readonly unsynced = new Map<string, Before>()

  override async open(...how: Parameters<LogFileSystem['open']>): Promise<LogFile> {
    const [path, mode] = how
    const file = await super.open(...how)
    if (mode !== 'write') return file
    const before: Before = this.unsynced.get(path) ?? new Map()
    this.unsynced.set(path, before)
    return {
      ...file,
      write: async (source, offset, length, position) => {
        await keep(file, before, position, length)
        return file.write(source, offset, length, position)
      },
      sync: async () => {
        const written = [...before.keys()]
        await file.sync()
        // What was written meanwhile counts as synced, too, which a disk may do.
        for (const sector of written) before.delete(sector)
      },
    }
  }

  /** To be called once it is killed. */
  async cutPower(random: () => number): Promise<number> {
    let lost = 0
    for (const [path, before] of this.unsynced) {
      if (before.size === 0) continue
      await withFile(await nodeFileSystem.open(path, 'write'), async (file) => {
        for (const [sector, bytes] of before) {
          if (random() < 0.5) continue
          await writeWhole(file, bytes, sector * SECTOR_BYTES)
          lost += 1
        }
      })
    }
    return lost
  }
}

async function keep(
  file: LogFile,
  before: Before,
  position: number,
  length: number,
): Promise<void> {
  const first = Math.floor(position / SECTOR_BYTES)
  for (let sector = first; sector * SECTOR_BYTES < position + length; sector += 1) {
    if (before.has(sector)) continue
    before.set(sector, await readWhole(file, sector * SECTOR_BYTES, SECTOR_BYTES))
  }
}
