#ifndef CMPI_H
#define CMPI_H
#endif
