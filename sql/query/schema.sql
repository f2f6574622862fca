SELECT number, program_min FROM meta;
