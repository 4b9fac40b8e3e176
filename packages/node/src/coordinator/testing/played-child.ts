/** A child that a test of the coordinator plays. */
import { duplexPair } from 'node:stream'
import type { Duplex } from 'node:stream'
import { encodeMessage } from '@kv/protocol'
import type { FromChild, ToChild } from '../../link/control.js'
import { DataLink } from '../../link/data-link.js'
import type { ChildListener, RunningChild } from '../child-process.js'

/** Opens what it is told to, backs what it is told to and echoes batches, unless it is mute. */
export class PlayedChild implements RunningChild {
  readonly pid = process.pid
  readonly socket: Duplex
  isMute = false
  /** Does not let go of what it is told to. */
  isClinging = false
  private readonly listener: ChildListener
  private readonly link: DataLink

  constructor(listener: ChildListener) {
    this.listener = listener
    const [ours, theirs] = duplexPair({ allowHalfOpen: false })
    this.socket = ours
    this.link = new DataLink(theirs, {
      onFrame: (frame) => {
        if (frame.type !== 'batch' || this.isMute) return
        const { batchId, body } = frame
        const reply = encodeMessage({ type: 'reply', batchId, final: true, body })
        this.link.reply(frame.connection, batchId, true, reply)
      },
      onEnd: () => {},
    })
  }

  send(message: ToChild): void {
    switch (message.type) {
      case 'configure':
        this.says({ type: 'started', port: 0 })
        return
      case 'open': {
        const { shard, hosting, epoch } = message.place
        this.says({ type: 'opened', shard, hosting, epoch })
        return
      }
      case 'back': {
        const { shard, hosting } = message.place
        this.says({ type: 'backing', shard, hosting })
        return
      }
      case 'release':
        if (!this.isClinging) this.says({ ...message, type: 'released' })
        return
      case 'ping':
        this.says({ type: 'pong', nonce: message.nonce })
        return
      case 'report': {
        const report = {
          rssBytes: 1,
          heapBytes: 1,
          cpuMs: 1,
          directConnections: 0,
          shards: [],
          copies: [],
        }
        this.says({ type: 'report', nonce: message.nonce, report })
        return
      }
      case 'inSync':
        return
      case 'stop':
        this.ends(0)
    }
  }

  kill(): void {
    this.ends(null)
  }

  ends(code: number | null): void {
    setImmediate(() => {
      this.socket.destroy()
      this.listener.onExit({ code, signal: code === null ? 'SIGKILL' : null })
    })
  }

  private says(message: FromChild): void {
    setImmediate(() => this.listener.onMessage(message))
  }
}
