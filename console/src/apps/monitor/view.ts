/** Now, on the server's clock: the axes of charts are the server's times. */
import { serverSkew } from "@/shared/clock";

export const nowSeen = (): number => Date.now() - serverSkew.ms;
