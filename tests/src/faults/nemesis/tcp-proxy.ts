/**
 * The network between clients and a node, on a bad day: a port that hands on bytes, and can cut its
 * lines, hold them still, or slow them down.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

/** The two halves of one connection. */
interface Line {
  readonly client: Socket
  readonly node: Socket
}

export class TcpProxy {
  private readonly server: Server
  private readonly host: string
  private readonly targetPort: number
  private readonly lines = new Set<Line>()
  /** Also of lines of which the other half is gone. */
  private readonly sockets = new Set<Socket>()
  private delayMs = 0
  private isHolding = false

  private constructor(server: Server, targetPort: number, host: string) {
    this.server = server
    this.targetPort = targetPort
    this.host = host
  }

  /** Rejects if the port is not to be had. */
  static async start(targetPort: number, host = '127.0.0.1', port = 0): Promise<TcpProxy> {
    const server = createServer((client) => proxy.accept(client))
    const proxy: TcpProxy = new TcpProxy(server, targetPort, host)
    server.listen(port, host)
    await once(server, 'listening')
    return proxy
  }

  get url(): string {
    return `kv://${this.host}:${(this.server.address() as AddressInfo).port}`
  }

  get lineCount(): number {
    return this.lines.size
  }

  private accept(client: Socket): void {
    const node = connect(this.targetPort, '127.0.0.1')
    const line: Line = { client, node }
    this.lines.add(line)
    for (const [from, to] of [
      [client, node],
      [node, client],
    ] as const) {
      this.sockets.add(from)
      from.setNoDelay(true)
      // Nothing is known of the other end but that it ends: that is what a reset looks like.
      from.on('error', () => undefined)
      from.on('close', () => {
        this.lines.delete(line)
        this.sockets.delete(from)
        // What was on its way arrives all the same, however late: nobody calls it back.
        setTimeout(() => to.destroySoon(), this.delayMs)
      })
      from.on('data', (bytes) => this.handOn(from, to, bytes))
      if (this.isHolding) from.pause()
    }
  }

  private handOn(from: Socket, to: Socket, bytes: Buffer): void {
    if (this.delayMs > 0) {
      from.pause()
      setTimeout(() => {
        to.write(bytes)
        if (!this.isHolding) from.resume()
      }, this.delayMs)
      return
    }
    if (to.write(bytes)) return
    from.pause()
    to.once('drain', () => {
      if (!this.isHolding) from.resume()
    })
  }

  /** Ends every line whose number leaves this remainder; both ends see a reset. How many. */
  cut(isChosen: (index: number) => boolean = () => true): number {
    const chosen = [...this.lines].filter((_, index) => isChosen(index))
    for (const { client, node } of chosen) {
      client.resetAndDestroy()
      node.resetAndDestroy()
    }
    return chosen.length
  }

  /** From now on nothing gets through, and nobody is told. */
  hold(): void {
    this.isHolding = true
    for (const { client, node } of this.lines) for (const half of [client, node]) half.pause()
  }

  release(): void {
    this.isHolding = false
    for (const { client, node } of this.lines) for (const half of [client, node]) half.resume()
  }

  /** Each piece takes so much longer; 0 for as fast as it goes. */
  slowBy(delayMs: number): void {
    this.delayMs = delayMs
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
    await once(this.server, 'close')
  }
}
