export declare const CORE_BYTES_MAX: number;
export declare function measure(entry: string): Promise<{ minified: number; gzipped: number }>;
