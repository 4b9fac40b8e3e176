/**
 * The real files of a process that can be killed: from then on nothing of it reaches the disk. What is
 * under way ends as it does.
 */
import { nodeFileSystem, type LogFile, type LogFileSystem } from '../log/file-system.js'

export class KillableFileSystem implements LogFileSystem {
  /** Writes neither end nor fail. */
  isHanging = false
  /** One does. */
  hangs = false
  private isKilled = false
  private underWay = new Set<Promise<unknown>>()

  /** Resolves when nothing is under way any more. */
  async kill(): Promise<void> {
    this.isKilled = true
    while (this.underWay.size > 0) await this.ended()
  }

  /** Resolves when what is under way now has ended. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.underWay)
  }

  private run<Result>(operation: () => Promise<Result>): Promise<Result> {
    if (this.isKilled) return Promise.reject(new Error('the process was killed'))
    const running = operation().finally(() => this.underWay.delete(running))
    this.underWay.add(running)
    return running
  }

  async open(...how: Parameters<LogFileSystem['open']>): Promise<LogFile> {
    const file = await this.run(() => nodeFileSystem.open(...how))
    return {
      write: (...write) => {
        if (!this.isHanging) return this.run(() => file.write(...write))
        this.hangs = true
        return new Promise(() => undefined)
      },
      read: (...read) => this.run(() => file.read(...read)),
      sync: () => this.run(() => file.sync()),
      size: () => this.run(() => file.size()),
      // The system closes the files of a process that ends.
      close: () => file.close(),
    }
  }

  rename(from: string, to: string): Promise<void> {
    return this.run(() => nodeFileSystem.rename(from, to))
  }

  unlink(path: string): Promise<void> {
    return this.run(() => nodeFileSystem.unlink(path))
  }

  readDirectory(path: string): Promise<string[]> {
    return this.run(() => nodeFileSystem.readDirectory(path))
  }

  makeDirectory(path: string): Promise<void> {
    return this.run(() => nodeFileSystem.makeDirectory(path))
  }

  syncDirectory(path: string): Promise<void> {
    return this.run(() => nodeFileSystem.syncDirectory(path))
  }
}
