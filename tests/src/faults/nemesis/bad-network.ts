/**
 * All lines between a node and clients that come through here: to its coordinator, and straight to its
 * children.
 *
 * A client that goes straight to a child looks for it on the host where it found the coordinator: on an
 * address of their own each port that a child may have is the proxy of itself.
 */
import { TcpProxy } from './tcp-proxy.js'

/** Loopback, too, and not where the node listens. */
const HOST = '127.0.0.2'

export class BadNetwork {
  private readonly toCoordinator: TcpProxy
  private readonly toChildren: readonly TcpProxy[]
  /** How often lines were held. */
  private holds = 0

  private constructor(toCoordinator: TcpProxy, toChildren: readonly TcpProxy[]) {
    this.toCoordinator = toCoordinator
    this.toChildren = toChildren
  }

  /** A port that is not to be had is one where a child can't be reached. */
  static async start(port: number, directPorts: readonly number[]): Promise<BadNetwork> {
    const starting = directPorts.map((each) => TcpProxy.start(each, HOST, each))
    const started = await Promise.allSettled(starting)
    const toChildren = started.flatMap((each) => (each.status === 'fulfilled' ? each.value : []))
    return new BadNetwork(await TcpProxy.start(port, HOST), toChildren)
  }

  private get proxies(): readonly TcpProxy[] {
    return [this.toCoordinator, ...this.toChildren]
  }

  get url(): string {
    return this.toCoordinator.url
  }

  /** Of each proxy, the lines whose number is chosen. How many. */
  cut(isChosen?: (index: number) => boolean): number {
    return this.proxies.reduce((count, proxy) => count + proxy.cut(isChosen), 0)
  }

  /**
   * From now on nothing gets through: by turns on all lines, on those to the coordinator, on those to
   * children. What a client has sent by the one way and given up is then still on it, while what it
   * sends by the other is answered.
   */
  hold(): void {
    const turns = [this.proxies, [this.toCoordinator], this.toChildren]
    for (const proxy of turns[this.holds % turns.length]!) proxy.hold()
    this.holds += 1
  }

  release(): void {
    for (const proxy of this.proxies) proxy.release()
  }

  /** The lines to the coordinator; those to children are as fast as they are. */
  slowBy(delayMs: number): void {
    this.toCoordinator.slowBy(delayMs)
  }

  async close(): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.close()))
  }
}
